/* store_check - a look at a store from outside, for fsck: rows as they are, nothing believed. */
#ifndef SHOTLINE_COORDINATOR_STORE_STORE_CHECK_H
#define SHOTLINE_COORDINATOR_STORE_STORE_CHECK_H

#include "coordinator/core/job.h"

struct store_check;

/* Opens a store that exists; ERROR_INPUT for a file that is none. Nothing is created and no version brought up. */
struct store_check *store_check_open(const char *path, struct error *err);
void store_check_close(struct store_check **c);

/* SQLite's own check of the whole file, and of the references between its tables: calls `each` per complaint. */
typedef void store_check_line(void *context, const char *line);
bool store_check_integrity(struct store_check *c, store_check_line *each, void *context, struct error *err);

/* A digest column that has not 32 bytes has `valid` false. */
struct checked_result {
    bool valid;
    struct digest key, digest;
    int output;
    int64_t bytes;
};
struct checked_video {
    int64_t id, campaign;
    enum work_state state;
    bool has_manifest, has_file;
    struct blob_ref manifest, file;
};
struct checked_campaign {
    int64_t id;
    const void *request; /* valid during the call */
    size_t request_bytes;
};
typedef void store_check_result(void *context, const struct checked_result *row);
typedef void store_check_video(void *context, const struct checked_video *row);
typedef void store_check_campaign(void *context, const struct checked_campaign *row);
typedef void store_check_blob(void *context, const struct digest *d);
/* Every blob that running tasks go on from. */
bool store_check_checkpoints(struct store_check *c, store_check_blob *each, void *context, struct error *err);
/* Every blob that the farm removed to make room, once or more. */
bool store_check_evicted(struct store_check *c, store_check_blob *each, void *context, struct error *err);
bool store_check_results(struct store_check *c, store_check_result *each, void *context, struct error *err);
bool store_check_videos(struct store_check *c, store_check_video *each, void *context, struct error *err);
bool store_check_campaigns(struct store_check *c, store_check_campaign *each, void *context, struct error *err);

/* The result of a key; 0: it has none. */
uint32_t store_check_find(struct store_check *c, const struct digest *key,
                          struct task_output outputs[TASK_MAX_OUTPUTS]);
/* Forgets the result of a key, at once and for good. */
bool store_check_forget(struct store_check *c, const struct digest *key, struct error *err);

#endif
