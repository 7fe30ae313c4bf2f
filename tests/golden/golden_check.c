/* golden-check - compares this project's models with the outputs of the reference implementations, for every case of a
 * goldens folder (its README says how it is laid out). A line per case: name, largest error, its tolerance, PASS or
 * FAIL; the case's worst tensor and how much of it was compared follow. */
#include "common/base/args.h"
#include "common/base/file.h"
#include "tests/golden/golden.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kind {
    const char *name;
    golden_run *run;
    bool tensors; /* the outcome is in expected.safetensors */
} kinds[] = {
    { "umt5", golden_umt5, true },
    { "wan_t2v", golden_dit, true },
    { "wan_vace", golden_dit, true },
    { "vae_encode", golden_vae_encode, true },
    { "vae_decode", golden_vae_decode, true },
    { "scheduler_unipc", golden_scheduler, true },
    { "scheduler_euler", golden_scheduler, true },
    { "pipeline_t2v", golden_pipeline, true },
    { "pipeline_t2v_text", golden_pipeline, true },
    { "pipeline_vace", golden_pipeline, true },
    { "qwen3", golden_qwen3, true },
    { "tokenizer_umt5", golden_tokenizer_umt5, false },
    { "tokenizer_qwen", golden_tokenizer_qwen, false },
};

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

static void print_result(const struct golden *c, bool passed)
{
    size_t all = c->expected ? safetensors_count(c->expected) : 0;

    printf("%-32s ", c->name);
    if (c->tolerance > 0)
        printf("%9.2e %9.2e %s", c->error, c->tolerance, passed ? "PASS" : "FAIL");
    else
        printf("%9d %9s %s", c->mismatches, "exact", passed ? "PASS" : "FAIL");
    if (c->expected)
        printf("  %d of %zu tensors", c->compared, all);
    else
        printf("  %d texts", c->compared);
    if (c->worst[0])
        printf(", %s: %s", c->mismatches ? "differs" : "largest", c->worst);
    if (c->note[0])
        printf(", %s", c->note);
    printf("\n");
    fflush(stdout);
}

/* Says whether the case passed. */
static bool check_case(const char *root, const char *name, struct exec *x)
{
    struct golden c;
    struct error err = { 0 };
    bool opened = golden_open(&c, root, name, x, &err), passed = false;
    const struct kind *kind = opened ? find_kind(golden_kind(&c)) : NULL;
    bool runs = kind && (!kind->tensors || c.expected);

    if (opened && !kind)
        error_set(&err, ERROR_INPUT, "unknown kind \"%s\"", golden_kind(&c));
    else if (opened && !runs)
        error_set(&err, ERROR_INPUT, "expected.safetensors is missing");
    if (runs && kind->run(&c, &err)) {
        passed = golden_passed(&c);
        print_result(&c, passed);
    } else {
        printf("%-32s %9s %9s FAIL  %s\n", name, "-", "-", err.text);
    }
    golden_close(&c);
    return passed;
}

static int is_case(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int check_folder(const char *root, struct exec *x)
{
    char dir[PATH_MAX], path[PATH_MAX + 300];
    struct dirent **entry;
    int failed = 0, cases = 0;

    snprintf(dir, sizeof dir, "%s/cases", root);
    int count = scandir(dir, &entry, is_case, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s/case.json", dir, entry[i]->d_name);
        if (file_exists(path)) {
            cases++;
            failed += !check_case(root, entry[i]->d_name, x);
        }
        free(entry[i]);
    }
    if (count >= 0)
        free(entry);
    if (cases == 0) {
        fprintf(stderr, "golden-check: %s: no NAME/case.json in it\n", dir);
        return 1;
    }
    printf("%d cases, %d failed, on %s\n", cases, failed, exec_device_name(x));
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *device = NULL, **operands = calloc((size_t)argc + 1, sizeof *operands);
    bool validate = false;
    int count = 0;
    struct error err = { 0 };
    const struct arg_option options[] = {
        { 'd', "device", ARG_TEXT, &device, 0, 0, "NAME",
          "Vulkan device by index or part of its name, or ref: plain C (default: the best device)", NULL },
        { 0, "validate", ARG_FLAG, &validate, 0, 0, NULL, "run with the Vulkan validation layer", NULL },
    };
    const struct arg_command command = { "golden-check",
                                         "DIR",
                                         "Compares the models with reference outputs.",
                                         options,
                                         sizeof options / sizeof *options,
                                         1,
                                         1 };
    enum args_result parsed = args_parse(&command, argc, argv, operands, &count, &err);
    int status = parsed == ARGS_HELP ? 0 : 2;
    if (parsed == ARGS_OK) {
        struct exec *x = device && !strcmp(device, "ref")
                             ? exec_open_ref()
                             : exec_open_vk(&(struct exec_options){ .device = device, .validate = validate }, &err);
        status = x ? check_folder(operands[0], x) : 1;
        exec_close(&x);
    }
    if (err.kind != ERROR_NONE)
        fprintf(stderr, "golden-check: %s\n", err.text);
    free(operands);
    return status;
}
