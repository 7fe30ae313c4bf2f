/* fuzz_campaign - any bytes as a campaign file: refused with words, or a message that can be sent and read again. */
#include "client/campaign.h"
#include "common/base/file.h"
#include "common/wire/codec.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A folder of its own: the paths in a campaign are relative to its file. */
static char folder[] = "/tmp/shotline-fuzz-XXXXXX";

static void remove_folder(void)
{
    file_remove_tree(folder, NULL);
}

static void write_input(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(data, 1, size, f) != size || fclose(f))
        abort();
}

static void send_and_read(const Shotline__Campaign *m)
{
    struct arena arena = { 0 };
    struct str once = { 0 }, twice = { 0 };
    const Shotline__Campaign *again;

    codec_pack(&m->base, &once);
    again = codec_unpack(&shotline__campaign__descriptor, once.data, once.size, &arena, NULL);
    if (!again)
        abort();
    codec_pack(&again->base, &twice);
    if (once.size != twice.size || memcmp(once.data, twice.data, once.size))
        abort();
    str_free(&once);
    str_free(&twice);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;
    static char path[PATH_MAX];
    struct error err = { 0 };
    struct campaign c;

    if (!made) {
        if (!mkdtemp(folder) || !file_join(path, sizeof path, folder, "campaign.cfg"))
            abort();
        atexit(remove_folder);
        made = true;
    }
    write_input(path, data, size);
    if (campaign_load(&c, path, &(struct campaign_wishes){ .duration_ms = 2000 }, &err)) {
        c.message.token = (ProtobufCBinaryData){ 16, (uint8_t *)"0123456789abcdef" };
        send_and_read(&c.message);
        campaign_free(&c);
    } else if (!*err.text) {
        abort();
    }
    return 0;
}
