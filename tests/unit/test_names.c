/* links: shotline_planner */
/* A model reads the pack's words in place of the campaign's names, and nobody is taken for named who is not. */
#include "coordinator/plan/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const alias[] = { "_1", "_2", "_3" };

static void names_become_aliases(void **state)
{
    static const struct {
        const char *ids[3], *prompt, *read;
        int named; /* bits */
    } cases[] = {
        { { "mia", "leo" }, "Mia waves, then LEO jumps.", "_1 waves, then _2 jumps.", 3 },
        { { "mia", "leo" }, "mia's dog and \"leo\": (mia)!", "_1's dog and \"_2\": (_1)!", 3 },
        { { "mia" }, "miami, amia, mia2, mia_x, 4mia", "miami, amia, mia2, mia_x, 4mia", 0 }, /* inside other words */
        { { "mia" },
          "mia\xc3\xa9 \xc3\xa9mia mi\xc3\xa1",
          "mia\xc3\xa9 \xc3\xa9mia mi\xc3\xa1",
          0 }, /* é is a letter */
        { { "mia" }, "the sea\xe2\x80\x94mia\xe2\x80\xa6", "the sea\xe2\x80\x94_1\xe2\x80\xa6", 1 }, /* dash, dots */
        { { "old", "old-bob", "bob" }, "old bob met Old-Bob, bob and old Bo", "_2 met _2, _3 and _1 Bo", 7 },
        { { "top_hat" }, "Top hat, top_hat, top-hat, tophat", "_1, _1, _1, tophat", 1 },
        { { "mia", "mia-lou" }, "mia-lou, mia-lo, mia", "_2, _1-lo, _1", 3 },
        { { "A", "b" }, "a cat, A and B, b", "a cat, _1 and B, _2", 3 }, /* one letter: only as it is written */
        { { "mia" }, "_1 and _2x, <_1>", "_ 1 and _2x, <_ 1>", 0 },      /* not a way to speak of mia */
        { { "_2", "mia" }, "_2 and mia", "_1 and _2", 3 },
        { { "mia" }, "", "", 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct given_member cast[3] = { { .named = true } };
        struct str text = { 0 }, plain = { 0 };
        size_t count = 0;
        for (; count < 3 && cases[i].ids[count]; count++)
            cast[count].id = cases[i].ids[count];
        names_read(cases[i].prompt, alias, cast, count, &text);
        assert_string_equal(str_text(&text), cases[i].read);
        for (size_t k = 0; k < count; k++)
            assert_int_equal(cast[k].named, cases[i].named >> k & 1);
        names_read(cases[i].prompt, NULL, cast, count, &plain); /* a pack without aliases */
        assert_string_equal(str_text(&plain), cases[i].prompt);
        for (size_t k = 0; k < count; k++)
            assert_int_equal(cast[k].named, cases[i].named >> k & 1);
        str_free(&text);
        str_free(&plain);
    }
}

static void no_alias_stands_in_a_phrase(void **state)
{
    struct str text = { 0 };
    (void)state;

    names_part("a red monster, _3 of a kind, not _4", alias, 3, &text);
    assert_string_equal(text.data, "a red monster, _ 3 of a kind, not _4");
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_aliases),
        cmocka_unit_test(no_alias_stands_in_a_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
