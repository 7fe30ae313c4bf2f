#include "common/base/file.h"

#include "tests/unit/temp_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void written_files_read_back(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_true(file_write(in_dir("a"), "hello\0x", 7, &err));
    assert_true(file_write(in_dir("a"), "again\0y", 7, &err));
    size_t size = 0;
    char *text = file_read(in_dir("a"), 7, &size, &err);
    assert_non_null(text);
    assert_int_equal(size, 7);
    assert_memory_equal(text, "again\0y", 8);
    free(text);
    assert_null(file_read(in_dir("a"), 6, &size, &err));
    assert_int_equal(err.kind, ERROR_INPUT);

    struct file_map m;
    assert_true(file_map(&m, in_dir("a"), &err));
    assert_int_equal(m.size, 7);
    assert_memory_equal(m.data, "again", 5);
    file_unmap(&m);
    assert_true(file_copy(in_dir("a"), in_dir("b"), &err));
    assert_true(file_map(&m, in_dir("b"), &err));
    assert_int_equal(m.size, 7);
    file_unmap(&m);
    assert_int_equal(entries(), 2);
}

static void empty_file_maps_to_nothing(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_true(file_write(in_dir("empty"), "", 0, &err));
    struct file_map m;
    assert_true(file_map(&m, in_dir("empty"), &err));
    assert_null(m.data);
    assert_int_equal(m.size, 0);
    file_unmap(&m);
}

/* The error names the file; nothing is made. */
static void missing_files_and_folders_are_named(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct file_map m;
    assert_null(file_read(in_dir("none"), 10, NULL, &err));
    assert_non_null(strstr(err.text, "/none: "));
    assert_int_equal(err.kind, ERROR_IO);
    assert_false(file_map(&m, dir, &err));
    assert_non_null(strstr(err.text, "regular file"));
    assert_false(file_write(in_dir("no/such/x"), "x", 1, &err));
    assert_false(file_exists(in_dir("no")));
}

/* RLIMIT_FSIZE cuts a write short as a full disk does: the old file stays, and nothing else does. */
static void full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_true(file_write(in_dir("kept"), "old", 3, &err));
    int before = entries();
    size_t size = 3 << 20;
    char *large = calloc(1, size);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ .rlim_cur = 1 << 20, .rlim_max = old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &small);
    bool ok = file_write(in_dir("kept"), large, size, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(ok);
    assert_int_equal(err.kind, ERROR_IO);
    assert_non_null(strstr(err.text, "/kept: cannot be written: "));
    assert_int_equal(entries(), before);

    assert_true(file_write(in_dir("large"), large, size, &err));
    setrlimit(RLIMIT_FSIZE, &small);
    ok = file_copy(in_dir("large"), in_dir("kept"), &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(ok);
    free(large);
    char *text = file_read(in_dir("kept"), 100, NULL, &err);
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(entries(), before + 1);
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_true(file_make_dirs(in_dir("x/y//z/"), 0700, &err));
    assert_true(file_make_dirs(in_dir("x/y/z"), 0700, &err));
    assert_true(file_is_dir(in_dir("x/y/z")));
    struct stat st;
    assert_int_equal(stat(in_dir("x/y/z"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_true(file_write(in_dir("x/file"), "", 0, &err));
    assert_false(file_make_dirs(in_dir("x/file"), 0700, &err));
    assert_false(file_make_dirs(in_dir("x/file/more"), 0700, &err));
    assert_true(file_remove_tree(in_dir("x"), &err));
    assert_false(file_exists(in_dir("x")));
    assert_true(file_remove_tree(in_dir("x"), &err));
}

/* A link is removed, and what it points to stays. */
static void remove_tree_does_not_follow_links(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_true(file_make_dirs(in_dir("target"), 0700, &err));
    assert_true(file_write(in_dir("target/kept"), "", 0, &err));
    assert_true(file_make_dirs(in_dir("tree"), 0700, &err));
    assert_int_equal(symlink(in_dir("target"), in_dir("tree/link")), 0);
    assert_true(file_remove_tree(in_dir("tree"), &err));
    assert_true(file_exists(in_dir("target/kept")));
}

static void join_tells_when_it_does_not_fit(void **state)
{
    (void)state;
    char to[6];
    assert_true(file_join(to, sizeof to, "ab", "cd"));
    assert_string_equal(to, "ab/cd");
    assert_false(file_join(to, sizeof to, "ab", "cde"));
}

/* Another process holds it: refused at once without patience, got with patience when that process has ended. */
static void a_lock_is_waited_for(void **state)
{
    (void)state;
    int ready[2], go[2], status;
    char byte;

    assert_int_equal(pipe(ready) | pipe(go), 0);
    pid_t child = fork();
    if (!child) {
        const int fd = open(in_dir("lock"), O_RDWR | O_CREAT, 0600);
        close(go[1]);
        _exit(file_lock(fd, 0) && write(ready[1], "x", 1) == 1 && read(go[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(go[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    const int fd = open(in_dir("lock"), O_RDWR | O_CREAT, 0600);
    assert_false(file_lock(fd, 0));
    close(go[1]); /* it ends now */
    assert_true(file_lock(fd, 60000));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(fd);
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_files_read_back),
        cmocka_unit_test(empty_file_maps_to_nothing),
        cmocka_unit_test(missing_files_and_folders_are_named),
        cmocka_unit_test(full_disk_leaves_the_old_file),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(remove_tree_does_not_follow_links),
        cmocka_unit_test(join_tells_when_it_does_not_fit),
        cmocka_unit_test(a_lock_is_waited_for),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
