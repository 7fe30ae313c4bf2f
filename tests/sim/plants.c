/* plants - bugs on purpose, between the farm's own files and the functions that they call (-Wl,--wrap): the farm's code
 * itself knows nothing of them. A simulator that does not find them proves nothing. */
#include "tests/sim/world.h"

#include "coordinator/core/access.h"
#include "coordinator/core/attempts.h"
#include "coordinator/core/cache.h"
#include "coordinator/core/takes.h"

/* Every so many of the farm's calls goes wrong. */
static bool strikes(enum plant p, uint32_t every)
{
    return world && world->coordinator.at_work && world->set.plant == p && dice_u64(&world->luck) % every == 0;
}

enum report __real_task_judge(const struct task *t, struct worker_id worker, struct attempt a, enum claim claim);
enum report __wrap_task_judge(const struct task *t, struct worker_id worker, struct attempt a, enum claim claim);
enum report __wrap_task_judge(const struct task *t, struct worker_id worker, struct attempt a, enum claim claim)
{
    if (strikes(PLANT_NO_FENCE, 1) && (t->state == TASK_RUNNING || t->state == TASK_READY))
        return REPORT_CURRENT;
    return __real_task_judge(t, worker, a, claim);
}

bool __real_store_save(struct store *s, struct ledger *l, struct fleet *f, struct error *err);
bool __wrap_store_save(struct store *s, struct ledger *l, struct fleet *f, struct error *err);
bool __wrap_store_save(struct store *s, struct ledger *l, struct fleet *f, struct error *err)
{
    struct farm *farm = &world->coordinator.farm;

    if (strikes(PLANT_EARLY_REPLY, 1)) {
        for (size_t i = 0; i < farm->out_count; i++)
            endpoint_send(farm->out[i].to, &farm->out[i].peer, farm->out[i].bytes.data, farm->out[i].bytes.size);
        farm->out_count = 0;
    }
    bool ok = __real_store_save(s, l, f, err);
    oracle_saved(world, ok && !world->coordinator.dead);
    return ok;
}

void __real_ledger_touch_task(struct ledger *l, struct task *t);
void __wrap_ledger_touch_task(struct ledger *l, struct task *t);
void __wrap_ledger_touch_task(struct ledger *l, struct task *t)
{
    if (!strikes(PLANT_LOST_RECORD, 50))
        __real_ledger_touch_task(l, t);
}

void __real_queue_push(struct task *t);
void __wrap_queue_push(struct task *t);
void __wrap_queue_push(struct task *t)
{
    if (!strikes(PLANT_FORGOTTEN, 200))
        __real_queue_push(t);
}

struct campaign *__real_ledger_campaign_by_token(const struct ledger *l, const uint8_t token[16]);
struct campaign *__wrap_ledger_campaign_by_token(const struct ledger *l, const uint8_t token[16]);
struct campaign *__wrap_ledger_campaign_by_token(const struct ledger *l, const uint8_t token[16])
{
    return strikes(PLANT_TOKEN, 2) ? NULL : __real_ledger_campaign_by_token(l, token);
}

void __real_task_lease(struct ledger *l, struct task *t, struct worker_id worker, int64_t now_ms, int64_t lease_ms);
void __wrap_task_lease(struct ledger *l, struct task *t, struct worker_id worker, int64_t now_ms, int64_t lease_ms);
void __wrap_task_lease(struct ledger *l, struct task *t, struct worker_id worker, int64_t now_ms, int64_t lease_ms)
{
    if (t->attempt.v && strikes(PLANT_SAME_ATTEMPT, 2))
        t->attempt.v--;
    __real_task_lease(l, t, worker, now_ms, lease_ms);
}

bool __real_verdict_passed(const struct gate_verdict *v);
bool __wrap_verdict_passed(const struct gate_verdict *v);
bool __wrap_verdict_passed(const struct gate_verdict *v)
{
    return __real_verdict_passed(v) || strikes(PLANT_LENIENT, 20);
}

void __real_takes_restore(struct video *v);
void __wrap_takes_restore(struct video *v);
void __wrap_takes_restore(struct video *v)
{
    if (!strikes(PLANT_TAKES, 1))
        __real_takes_restore(v);
}

enum refusal __real_access_connect(const struct access *a, const struct curve_key *key, int64_t wall_ms);
enum refusal __wrap_access_connect(const struct access *a, const struct curve_key *key, int64_t wall_ms);
enum refusal __wrap_access_connect(const struct access *a, const struct curve_key *key, int64_t wall_ms)
{
    const enum refusal r = __real_access_connect(a, key, wall_ms);

    return r == REFUSAL_REVOKED && strikes(PLANT_REVOKED, 1) ? REFUSAL_NONE : r;
}

enum refusal __real_access_check(const struct access *a, const struct curve_key *key, enum access_verb verb,
                                 int64_t wall_ms);
enum refusal __wrap_access_check(const struct access *a, const struct curve_key *key, enum access_verb verb,
                                 int64_t wall_ms);
enum refusal __wrap_access_check(const struct access *a, const struct curve_key *key, enum access_verb verb,
                                 int64_t wall_ms)
{
    const enum refusal r = __real_access_check(a, key, verb, wall_ms);

    return r == REFUSAL_REVOKED && strikes(PLANT_REVOKED, 1) ? REFUSAL_NONE : r;
}

bool __real_store_put_key(struct store *s, const struct access_entry *e, struct error *err);
bool __wrap_store_put_key(struct store *s, const struct access_entry *e, struct error *err);
bool __wrap_store_put_key(struct store *s, const struct access_entry *e, struct error *err)
{
    return (e->state == ACCESS_REVOKED && strikes(PLANT_KEY_LOST, 4)) || __real_store_put_key(s, e, err);
}

struct access_entry *__real_access_join(struct access *a, const struct curve_key *invite, const struct curve_key *key,
                                        int64_t wall_ms, struct access_entry **used, enum refusal *why);
struct access_entry *__wrap_access_join(struct access *a, const struct curve_key *invite, const struct curve_key *key,
                                        int64_t wall_ms, struct access_entry **used, enum refusal *why);
struct access_entry *__wrap_access_join(struct access *a, const struct curve_key *invite, const struct curve_key *key,
                                        int64_t wall_ms, struct access_entry **used, enum refusal *why)
{
    struct access_entry *e = access_find(a, invite);

    if (e && e->state == ACCESS_USED && !curve_equal(&e->heir, key) && strikes(PLANT_REPLAY, 1))
        e->state = ACCESS_INVITED;
    return __real_access_join(a, invite, key, wall_ms, used, why);
}

bool __real_task_checkpoint(struct ledger *l, struct task *t, struct worker_id worker, struct attempt a, uint32_t step,
                            const struct blob_ref *state);
bool __wrap_task_checkpoint(struct ledger *l, struct task *t, struct worker_id worker, struct attempt a, uint32_t step,
                            const struct blob_ref *state);
bool __wrap_task_checkpoint(struct ledger *l, struct task *t, struct worker_id worker, struct attempt a, uint32_t step,
                            const struct blob_ref *state)
{
    const struct blob_ref other = world->last_state;
    const bool taken =
        __real_task_checkpoint(l, t, worker, a, step, other.bytes && strikes(PLANT_STATE, 4) ? &other : state);

    world->last_state = *state;
    if (taken)
        oracle_checkpoint(world, t);
    return taken;
}

void __real_task_failed(struct ledger *l, struct task *t, const struct task_failure *f, int64_t wall_ms);
void __wrap_task_failed(struct ledger *l, struct task *t, const struct task_failure *f, int64_t wall_ms);
void __wrap_task_failed(struct ledger *l, struct task *t, const struct task_failure *f, int64_t wall_ms)
{
    if (f->failure == FAILURE_MEMORY)
        oracle_too_small(world, t, f->device_bytes);
    world->bad_input = f->failure == FAILURE_INPUT;
    __real_task_failed(l, t, f, wall_ms);
    world->bad_input = false;
    if (f->failure == FAILURE_MEMORY && strikes(PLANT_CIRCLE, 2)) {
        t->profile = PROFILE_USUAL;
        t->too_small_bytes = 0;
        t->failed_count = 0;
    }
}

bool __real_cache_holds(const struct cache_needs *n, const struct digest *d);
bool __wrap_cache_holds(const struct cache_needs *n, const struct digest *d);
bool __wrap_cache_holds(const struct cache_needs *n, const struct digest *d)
{
    return __real_cache_holds(n, d) && !strikes(PLANT_EVICT, 20);
}
