#include "common/nn/pack.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/str.h"
#include "common/nn/weights.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- vae/config.json ---- */

struct pack_strides pack_vae_strides(struct json_reader *r, const json_t *config)
{
    const json_t *mult = json_list(r, config, "dim_mult"), *down = json_list(r, config, "temperal_downsample");
    const size_t levels = json_array_size(mult);
    struct pack_strides s = { .time = 1, .space = (int)json_int_or(r, config, "patch_size", 1, 2, 1) };

    if (!r->failed && (levels < 1 || levels > PACK_VAE_MAX_LEVELS))
        json_fail(r, "dim_mult", "has %zu entries, expected 1 to %d", levels, PACK_VAE_MAX_LEVELS);
    if (!r->failed && json_array_size(down) != levels - 1)
        json_fail(r, "temperal_downsample", "has %zu entries, expected %zu: one less than dim_mult",
                  json_array_size(down), levels - 1);
    for (size_t i = 0; i + 1 < levels && !r->failed; i++) {
        if (!json_is_boolean(json_array_get(down, i)))
            json_fail(r, "temperal_downsample", "entry %zu is neither true nor false", i);
        s.space *= 2;
        s.time *= json_is_true(json_array_get(down, i)) ? 2 : 1;
    }
    return s;
}

static bool load_strides(struct pack_strides *s, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    if (!file_join(path, sizeof path, dir, "vae/config.json"))
        return error_set(err, ERROR_INPUT, "%s: path too long", dir);
    json_t *config = json_load(path, err);
    if (!config)
        return false;
    struct json_reader r = { .where = path, .err = err };
    *s = pack_vae_strides(&r, config);
    json_decref(config);
    return !r.failed;
}

/* ---- shotline.json ---- */

static void read_text(struct json_reader *r, const json_t *root, const char *key, char *to, size_t room,
                      bool may_be_empty)
{
    const char *text = json_text(r, root, key);
    if (!r->failed && !str_copy(to, room, text))
        json_fail(r, key, "is longer than %zu bytes", room - 1);
    if (!r->failed && !may_be_empty && !text[0])
        json_fail(r, key, "is empty");
}

static void check_defaults(struct json_reader *r, const struct pack_defaults *p)
{
    if (r->failed)
        return;
    const int patch = pack_size_multiple(p);
    if (p->width % patch || p->height % patch)
        json_fail(r, p->width % patch ? "width" : "height", "is %d, expected a multiple of %d (two latents of its VAE)",
                  p->width % patch ? p->width : p->height, patch);
    if (p->handoff_step > p->steps)
        json_fail(r, "handoff_step", "is %d, expected at most steps (%d)", p->handoff_step, p->steps);
    if (p->overlap >= p->window)
        json_fail(r, "overlap", "is %d, expected less than window (%d)", p->overlap, p->window);
    if (p->window > p->longest_shot)
        json_fail(r, "window", "is %d, expected at most longest_shot (%d)", p->window, p->longest_shot);
    if (!(p->guidance_scale >= 1 && p->guidance_scale <= 100))
        json_fail(r, "guidance_scale", "is %g, expected a number from 1 to 100", p->guidance_scale);
}

static void read_defaults(struct json_reader *r, const json_t *root, struct pack_defaults *p)
{
    static const char *const keys[] = { "name",
                                        "width",
                                        "height",
                                        "fps",
                                        "steps",
                                        "guidance_scale",
                                        "handoff_step",
                                        "window",
                                        "overlap",
                                        "longest_shot",
                                        "references",
                                        "reference_suffix",
                                        "max_sequence_length",
                                        "negative_prompt",
                                        NULL };
    json_only_keys(r, root, keys);
    read_text(r, root, "name", p->name, sizeof p->name, false);
    p->width = (int)json_int(r, root, "width", 16, 8192);
    p->height = (int)json_int(r, root, "height", 16, 8192);
    p->fps = (int)json_int(r, root, "fps", 1, 240);
    p->steps = (int)json_int(r, root, "steps", 1, 1000);
    p->guidance_scale = json_number(r, root, "guidance_scale");
    p->handoff_step = (int)json_int(r, root, "handoff_step", 1, 1000);
    p->window = (int)json_int(r, root, "window", 1, 4096);
    p->overlap = (int)json_int(r, root, "overlap", 0, 4096);
    p->longest_shot = (int)json_int(r, root, "longest_shot", 1, 4096);
    p->references = (int)json_int(r, root, "references", 0, 16);
    read_text(r, root, "reference_suffix", p->reference_suffix, sizeof p->reference_suffix, true);
    p->max_sequence_length = (int)json_int(r, root, "max_sequence_length", 1, 4096);
    read_text(r, root, "negative_prompt", p->negative_prompt, sizeof p->negative_prompt, true);
    check_defaults(r, p);
}

bool pack_defaults_load(struct pack_defaults *p, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    *p = (struct pack_defaults){ 0 };
    if (!file_join(path, sizeof path, dir, "shotline.json"))
        return error_set(err, ERROR_INPUT, "%s: path too long", dir);
    json_t *root = json_load(path, err);
    if (!root)
        return false;
    struct json_reader r = { .where = path, .err = err };
    if (!load_strides(&p->strides, dir, err)) {
        json_decref(root);
        return false;
    }
    if (json_is_object(root))
        read_defaults(&r, root, p);
    else
        json_fail(&r, "the file", "is not a JSON object");
    json_decref(root);
    return !r.failed;
}

/* ---- the listing ---- */

static bool left_out(const char *name)
{
    return name[0] == '.' || str_starts(name, "README") || str_starts(name, "LICENSE") || !strcmp(name, "gates.json");
}

static bool list_folder(struct pack_listing *l, const char *root, const char *inside, struct error *err);

static bool list_entry(struct pack_listing *l, const char *root, const char *inside, const char *name,
                       struct error *err)
{
    struct pack_file f = { 0 };
    char path[PATH_MAX];
    struct stat about;

    if (snprintf(f.path, sizeof f.path, "%s%s%s", inside, inside[0] ? "/" : "", name) >= (int)sizeof f.path ||
        !file_join(path, sizeof path, root, f.path))
        return error_set(err, ERROR_INPUT, "%s: the path of %s is too long", root, name);
    if (stat(path, &about))
        return error_set(err, ERROR_IO, "%s: cannot be read", path);
    if (S_ISDIR(about.st_mode))
        return list_folder(l, root, f.path, err);
    if (!S_ISREG(about.st_mode))
        return true;
    f.bytes = about.st_size;
    if (!digest_of_file(&f.digest, path, err))
        return false;
    l->files = xrealloc(l->files, (l->count + 1) * sizeof *l->files);
    l->files[l->count++] = f;
    return true;
}

static bool list_folder(struct pack_listing *l, const char *root, const char *inside, struct error *err)
{
    enum { DEEPEST = 8 };
    char path[PATH_MAX];
    int depth = 0;

    for (const char *p = inside; *p; p++)
        depth += *p == '/';
    if (depth > DEEPEST || !file_join(path, sizeof path, root, inside))
        return error_set(err, ERROR_INPUT, "%s: folder %s is too deep", root, inside);
    DIR *dir = opendir(path);
    if (!dir)
        return error_set(err, ERROR_IO, "%s: not a folder that can be read", path);
    bool ok = true;
    for (const struct dirent *e = readdir(dir); e && ok; e = readdir(dir))
        if (!left_out(e->d_name))
            ok = list_entry(l, root, inside, e->d_name, err);
    closedir(dir);
    return ok;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct pack_file *)a)->path, ((const struct pack_file *)b)->path);
}

struct digest pack_listing_digest(const struct pack_listing *l)
{
    struct hash h;
    hash_begin(&h);
    for (size_t i = 0; i < l->count; i++) {
        hash_text(&h, l->files[i].path);
        hash_digest(&h, &l->files[i].digest);
    }
    return hash_end(&h);
}

bool pack_list(struct pack_listing *l, const char *dir, struct error *err)
{
    *l = (struct pack_listing){ 0 };
    if (!list_folder(l, dir, "", err)) {
        pack_listing_free(l);
        return false;
    }
    if (l->count)
        qsort(l->files, l->count, sizeof *l->files, by_path);
    l->digest = pack_listing_digest(l);
    return true;
}

void pack_listing_free(struct pack_listing *l)
{
    free(l->files);
    *l = (struct pack_listing){ 0 };
}

/* ---- checking a folder ---- */

/* A part of a pack: its config file and the classes that this project knows. */
struct part {
    const char *config, *key;
    const char *classes[3];
    const char *weights; /* file stem, NULL: none */
};

static bool check_class(const struct part *p, const char *path, const json_t *root, struct error *err)
{
    const json_t *v = json_object_get(root, p->key);
    const char *found = json_string_value(json_is_array(v) ? json_array_get(v, 0) : v);
    for (int i = 0; i < 3 && p->classes[i] && found; i++)
        if (!strcmp(found, p->classes[i]))
            return true;
    return error_set(err, ERROR_INPUT, "%s: %s is \"%s\", expected \"%s\"%s%s%s", path, p->key, found ? found : "",
                     p->classes[0], p->classes[1] ? " or \"" : "", p->classes[1] ? p->classes[1] : "",
                     p->classes[1] ? "\"" : "");
}

static bool check_part(const char *dir, const struct part *p, struct error *err)
{
    char path[PATH_MAX];

    if (!file_join(path, sizeof path, dir, p->config))
        return error_set(err, ERROR_INPUT, "%s: path too long", dir);
    json_t *root = json_load(path, err);
    if (!root)
        return false;
    bool ok = check_class(p, path, root, err);
    json_decref(root);
    if (!ok || !p->weights)
        return ok;
    *strrchr(path, '/') = '\0';
    struct weights *w = weights_open(path, p->weights, err);
    if (!w)
        return false;
    weights_close(&w);
    return true;
}

static bool check_file(const char *dir, const char *name, struct error *err)
{
    char path[PATH_MAX];
    if (!file_join(path, sizeof path, dir, name))
        return error_set(err, ERROR_INPUT, "%s: path too long", dir);
    return file_exists(path) || error_set(err, ERROR_INPUT, "%s: is missing from the pack", path);
}

bool pack_check_files(const char *dir, bool with_planner, struct error *err)
{
    static const struct part parts[] = {
        { "model_index.json", "_class_name", { "WanVACEPipeline", "WanPipeline" }, NULL },
        { "transformer/config.json",
          "_class_name",
          { "WanVACETransformer3DModel", "WanTransformer3DModel" },
          "diffusion_pytorch_model" },
        { "vae/config.json", "_class_name", { "AutoencoderKLWan" }, "diffusion_pytorch_model" },
        { "text_encoder/config.json", "architectures", { "UMT5EncoderModel" }, "model" },
        { "scheduler/scheduler_config.json",
          "_class_name",
          { "UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler" },
          NULL },
    };
    static const struct part planner = { "planner/config.json", "architectures", { "Qwen3ForCausalLM" }, "model" };
    struct pack_defaults defaults;

    if (!file_is_dir(dir))
        return error_set(err, ERROR_INPUT, "%s: no such pack folder", dir);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!check_part(dir, &parts[i], err))
            return error_wrap(err, "pack");
    if (!check_file(dir, "tokenizer/tokenizer.json", err) || !pack_defaults_load(&defaults, dir, err))
        return error_wrap(err, "pack");
    if (with_planner && (!check_part(dir, &planner, err) || !check_file(dir, "planner/tokenizer.json", err) ||
                         !check_file(dir, "planner/grammar.json", err)))
        return error_wrap(err, "pack");
    return true;
}
