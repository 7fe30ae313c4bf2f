#include "client/local_farm.h"

#include "client/program.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
    MAX_ARGUMENTS = 16,
    MOST_RESTARTS = 3,
    END_GRACE_MS = 4000, /* between asking to end and killing */
    POLL_MS = 20,
    LOG_TAIL = 4096,
};

struct process {
    char name[32]; /* "coordinator", "worker-1" */
    char path[PATH_MAX];
    char log[PATH_MAX];
    const char *argv[MAX_ARGUMENTS];
    char **environment; /* borrowed from the farm's arena */
    pid_t pid;          /* 0: not running */
    int restarts;
};

struct local_farm {
    struct arena arena;
    char state[PATH_MAX], run[PATH_MAX], address[PATH_MAX];
    int lock; /* held open as long as the farm lives */
    pid_t group;
    struct process *processes; /* the coordinator first */
    size_t count;
};

/* ------------------------------------------------------------------------------------------------ places */

static bool default_state(char *to, size_t room, struct error *err)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (xdg && xdg[0] == '/')
        n = snprintf(to, room, "%s/shotline", xdg);
    else if (home && home[0] == '/')
        n = snprintf(to, room, "%s/.local/state/shotline", home);
    else
        return error_set(err, ERROR_USAGE, "neither XDG_STATE_HOME nor HOME is set: give --state DIR");
    return (n > 0 && (size_t)n < room) || error_set(err, ERROR_USAGE, "the path of the state folder is too long");
}

/* Sockets have short names: the folder is found from a digest of the state folder's real path. */
static bool run_dir_of(const char *state, char *to, size_t room, struct error *err)
{
    char chosen[PATH_MAX], real[PATH_MAX];
    if (!state && !default_state(chosen, sizeof chosen, err))
        return false;
    if (state && !str_copy(chosen, sizeof chosen, state))
        return error_set(err, ERROR_USAGE, "--state: the path is too long");
    if (!realpath(chosen, real))
        str_copy(real, sizeof real, chosen); /* not made yet: then nobody listens there either */
    struct digest d = digest_of(real, strlen(real));
    char hex[DIGEST_HEX_ROOM];
    digest_hex(&d, hex);
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (!base || base[0] != '/' || strlen(base) > 40 || access(base, W_OK) != 0)
        base = "/tmp";
    snprintf(to, room, "%s/shotline-%u-%.12s", base, (unsigned)getuid(), hex);
    return true;
}

bool local_farm_address_of(const char *state, char *to, size_t room, struct error *err)
{
    char run[PATH_MAX];
    if (!run_dir_of(state, run, sizeof run, err))
        return false;
    int n = snprintf(to, room, "ipc://%s", run);
    return (n > 0 && (size_t)n < room) || error_set(err, ERROR_USAGE, "%s: the path is too long", run);
}

/* In /tmp anybody may have made the folder first: it must be ours, a true folder, and closed to others. */
static bool make_run_dir(const struct local_farm *f, struct error *err)
{
    struct stat st;
    if (mkdir(f->run, 0700) != 0 && errno != EEXIST)
        return error_set(err, ERROR_IO, "%s: cannot make the folder: %s", f->run, strerror(errno));
    if (lstat(f->run, &st) != 0)
        return error_set(err, ERROR_IO, "%s: %s", f->run, strerror(errno));
    if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 077))
        return error_set(err, ERROR_IO, "%s: expected a folder of this user that others cannot enter", f->run);
    return true;
}

static bool take_lock(struct local_farm *f, struct error *err)
{
    char path[PATH_MAX];
    if (!file_join(path, sizeof path, f->state, "lock"))
        return error_set(err, ERROR_USAGE, "--state: the path is too long");
    f->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (f->lock < 0)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    if (!file_lock(f->lock, 0)) {
        char holder[32] = "";
        ssize_t n = read(f->lock, holder, sizeof holder - 1);
        holder[n > 0 ? strcspn(holder, "\n") : 0] = '\0';
        return error_set(err, ERROR_IO,
                         "%s: in use by another shotline (process %s): wait for it, or give another --state DIR",
                         f->state, *holder ? holder : "unknown");
    }
    char mine[32];
    int size = snprintf(mine, sizeof mine, "%d\n", (int)getpid());
    if (ftruncate(f->lock, 0) != 0 || pwrite(f->lock, mine, (size_t)size, 0) != size)
        return error_set(err, ERROR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return true;
}

static const char *embedded_pack(struct arena *arena, struct error *err)
{
    char pack[PATH_MAX];
    if (program_pack(pack))
        return arena_strdup(arena, pack);
    error_set(err, ERROR_USAGE, "the embedded pack packs/tiny was not found near this program: give --pack DIR");
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ processes */

/* This process's environment, plus one setting unless the user has made it. */
static char **environment_with(struct arena *arena, const char *name, int value)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **copy = arena_array(arena, char *, count + 2);
    memcpy(copy, environ, count * sizeof *copy);
    if (!getenv(name))
        copy[count] = arena_printf(arena, "%s=%d", name, value);
    return copy;
}

/* Only async-signal-safe calls between fork and exec: ZeroMQ's threads may run by now. */
static bool process_start(struct local_farm *f, struct process *p, struct error *err)
{
    int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t parent = getpid();
    pid_t pid = log >= 0 && null >= 0 ? fork() : -1;
    if (pid == 0) {
        setpgid(0, f->group);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1); /* the client died between fork and prctl */
        dup2(null, STDIN_FILENO);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        signal(SIGPIPE, SIG_DFL);
        execve(p->path, (char *const *)(uintptr_t)p->argv, p->environment);
        _exit(127);
    }
    int why = errno;
    if (log >= 0)
        close(log);
    if (null >= 0)
        close(null);
    if (pid < 0)
        return error_set(err, ERROR_IO, "%s: cannot be started: %s", p->name, strerror(why));
    setpgid(pid, f->group); /* here too: whoever is first */
    if (f->group == 0)
        f->group = pid;
    p->pid = pid;
    log_debug("local_farm.start", "process=%s pid=%d", p->name, (int)pid);
    return true;
}

/* The last line of a log, for the message about a process that ended. */
static void last_line(const char *path, char *to, size_t room)
{
    char tail[LOG_TAIL + 1];
    ssize_t n = -1;
    *to = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END);
    n = pread(fd, tail, LOG_TAIL, size > LOG_TAIL ? size - LOG_TAIL : 0);
    close(fd);
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\0'))
        n--;
    if (n <= 0)
        return;
    tail[n] = '\0';
    const char *line = strrchr(tail, '\n');
    line = line ? line + 1 : tail;
    const char *colon = str_starts(line, "shotline-") ? strstr(line, ": ") : NULL;
    str_copy(to, room, colon ? colon + 2 : line);
}

/* A process that ended: killed ones come back a few times; one that gave up itself has said why. */
static bool process_ended(struct local_farm *f, struct process *p, int status, struct error *err)
{
    p->pid = 0;
    if (WIFSIGNALED(status) && p->restarts < MOST_RESTARTS) {
        p->restarts++;
        log_warn("local_farm.restart", "process=%s signal=%d restart=%d", p->name, WTERMSIG(status), p->restarts);
        return process_start(f, p, err);
    }
    char line[400];
    last_line(p->log, line, sizeof line);
    if (WIFSIGNALED(status))
        error_set(err, ERROR_INTERNAL, "%s: killed by signal %d again and again (see %s)", p->name, WTERMSIG(status),
                  p->log);
    else if (*line)
        error_set(err, ERROR_IO, "%s: %s", p->name, line);
    else
        error_set(err, ERROR_IO, "%s: ended with status %d", p->name, WEXITSTATUS(status));

    /* Without its coordinator a farm is nothing; without one of its workers it is slower. */
    bool works = false;
    for (size_t i = 1; p != &f->processes[0] && i < f->count; i++)
        works = works || f->processes[i].pid > 0;
    if (works)
        log_warn("local_farm.lost", "process=%s reason=\"%s\"", p->name, err->text);
    return works;
}

bool local_farm_alive(void *farm, struct error *err)
{
    struct local_farm *f = farm;
    for (size_t i = 0; i < f->count; i++) {
        int status;
        struct process *p = &f->processes[i];
        if (p->pid > 0 && waitpid(p->pid, &status, WNOHANG) == p->pid && !process_ended(f, p, status, err))
            return false;
    }
    return true;
}

static bool any_left(struct local_farm *f)
{
    bool left = false;
    for (size_t i = 0; i < f->count; i++) {
        struct process *p = &f->processes[i];
        if (p->pid > 0 && waitpid(p->pid, NULL, WNOHANG) == p->pid)
            p->pid = 0;
        left = left || p->pid > 0;
    }
    return left;
}

static void signal_all(const struct local_farm *f, int number)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->processes[i].pid > 0)
            kill(f->processes[i].pid, number);
}

static void end_all(struct local_farm *f)
{
    signal_all(f, SIGTERM);
    int64_t until_ms = clock_now_ms() + END_GRACE_MS;
    while (any_left(f)) {
        if (clock_now_ms() >= until_ms)
            signal_all(f, SIGKILL);
        nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
    }
}

/* ------------------------------------------------------------------------------------------------ the farm */

static bool process_init(struct local_farm *f, struct process *p, const char *program, const char *build_dir,
                         struct error *err)
{
    char log[64];
    snprintf(log, sizeof log, "log/%s.log", p->name);
    if (!file_join(p->log, sizeof p->log, f->state, log))
        return error_set(err, ERROR_USAGE, "--state: the path is too long");
    unlink(p->log); /* of the run before */
    return program_find(program, build_dir, p->path, err);
}

static bool add_coordinator(struct local_farm *f, const char *pack, struct error *err)
{
    struct process *p = &f->processes[f->count];
    snprintf(p->name, sizeof p->name, "coordinator");
    if (!process_init(f, p, "shotline-coordinator", "coordinator", err))
        return false;
    const char *argv[] = { "shotline-coordinator", "--listen", f->address, "--state", f->state, "--pack", pack, NULL };
    memcpy(p->argv, argv, sizeof argv);
    p->environment = environ;
    f->count++;
    return true;
}

static bool add_worker(struct local_farm *f, const char *pack, const char *device, int number, int cores,
                       struct error *err)
{
    struct process *p = &f->processes[f->count];
    snprintf(p->name, sizeof p->name, "worker-%d", number);
    if (!process_init(f, p, "shotline-worker", "worker", err))
        return false;
    const char *state = arena_printf(&f->arena, "%s/%s", f->state, p->name);
    const char *argv[] = { "shotline-worker", "--farm", f->address, "--state",    state, "--name",
                           p->name,           "--pack", pack,       "--patience", "2.5" };
    size_t count = sizeof argv / sizeof argv[0];
    memcpy(p->argv, argv, sizeof argv);
    if (device) {
        p->argv[count] = "--device";
        p->argv[count + 1] = device;
    }
    /* A software Vulkan driver takes all cores unless it is told its share. */
    p->environment = environment_with(&f->arena, "LP_NUM_THREADS", cores);
    f->count++;
    return true;
}

static int usable_cores(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? count : 1;
}

static bool open_places(struct local_farm *f, const struct local_farm_options *o, struct error *err)
{
    char log[PATH_MAX], given[PATH_MAX];
    if (!o->state && !default_state(given, sizeof given, err))
        return false;
    if (o->state && !str_copy(given, sizeof given, o->state))
        return error_set(err, ERROR_USAGE, "--state: the path is too long");
    if (!file_make_dirs(given, 0700, err))
        return false;
    if (!realpath(given, f->state))
        return error_set(err, ERROR_IO, "%s: %s", given, strerror(errno));
    return take_lock(f, err) && file_join(log, sizeof log, f->state, "log") && file_make_dirs(log, 0700, err) &&
           run_dir_of(f->state, f->run, sizeof f->run, err) && make_run_dir(f, err) &&
           local_farm_address_of(f->state, f->address, sizeof f->address, err);
}

static bool start(struct local_farm *f, const struct local_farm_options *o, struct error *err)
{
    const char *pack = o->pack ? o->pack : embedded_pack(&f->arena, err);
    if (!pack || !open_places(f, o, err))
        return false;
    f->processes = arena_array(&f->arena, struct process, o->workers + 1);
    if (!add_coordinator(f, pack, err))
        return false;
    int cores = usable_cores();
    for (int i = 0; i < o->workers; i++) {
        int share = cores / o->workers + (i < cores % o->workers);
        if (!add_worker(f, pack, o->device, i + 1, share > 0 ? share : 1, err))
            return false;
    }
    for (size_t i = 0; i < f->count; i++)
        if (!process_start(f, &f->processes[i], err))
            return false;
    return true;
}

struct local_farm *local_farm_open(const struct local_farm_options *o, struct error *err)
{
    struct local_farm *f = xcalloc(1, sizeof *f);
    f->lock = -1;
    if (!start(f, o, err))
        local_farm_close(&f);
    return f;
}

void local_farm_close(struct local_farm **farm)
{
    struct local_farm *f = *farm;
    if (!f)
        return;
    end_all(f);
    if (f->lock >= 0) {
        struct error ignored;
        if (f->run[0])
            file_remove_tree(f->run, &ignored);
        close(f->lock);
    }
    arena_free(&f->arena);
    free(f);
    *farm = NULL;
}

const char *local_farm_address(const struct local_farm *f)
{
    return f->address;
}
