/* The kernel proof: plain C gives the known digest, and so does the device, on each load path.
 *
 * Usage: test_proof [storage]: with it, the texel path is left out (SwiftShader takes minutes to compile it). */
#include "tests/gpu/compare.h"

#include "common/nn/kernel_proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool texel_too;

static void proves(struct exec *x)
{
    struct error err = { 0 };
    struct digest d, known = kernel_proof_reference();
    char got[DIGEST_HEX_ROOM], expected[DIGEST_HEX_ROOM];
    if (!kernel_proof(x, &d, &err))
        fail_msg("%s", err.text);
    digest_hex(&d, got);
    digest_hex(&known, expected);
    assert_string_equal(got, expected);
}

static void plain_c_gives_the_known_digest(void **state)
{
    (void)state;
    struct exec *x = exec_open_ref();
    proves(x);
    exec_close(&x);
}

static void on_path(const char *path)
{
    struct exec *x = open_device(path, false);
    if (!x)
        skip();
    proves(x);
    exec_close(&x);
}

static void texel_kernels_give_it_too(void **state)
{
    (void)state;
    if (!texel_too)
        skip();
    on_path("texel");
}

static void storage_kernels_give_it_too(void **state)
{
    (void)state;
    on_path("storage");
}

int main(int argc, char **argv)
{
    texel_too = argc < 2 || strcmp(argv[1], "storage") != 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_c_gives_the_known_digest),
        cmocka_unit_test(texel_kernels_give_it_too),
        cmocka_unit_test(storage_kernels_give_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
