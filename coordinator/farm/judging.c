#include "coordinator/farm/judging.h"

#include "common/base/log.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/takes.h"

#include <inttypes.h>
#include <stdlib.h>

static bool read_scores(struct farm *f, const struct blob_ref *blob, struct gate_scores *s, struct error *err)
{
    size_t size;
    char *text = store_dir_read(f->blobs, &blob->digest, GATE_SCORES_LARGEST, &size, err);
    bool ok = text && gate_scores_parse(s, text, size, err);

    free(text);
    return ok;
}

static void judge(struct farm *f, const struct task *t, const struct gate_scores *s, struct gate_verdict *verdict)
{
    const struct shot *shot = &t->video->shots[t->shot - 1];

    gates_judge(
        verdict, s,
        &(struct gate_plan){ .frames = f->pack.strides.time * (shot->latent_frames - 1) + 1, .camera = shot->camera },
        &f->gates);
}

bool judging_verdict(struct farm *f, const struct task *t, const struct task_output *outputs, uint32_t count,
                     struct gate_verdict *verdict, struct error *err)
{
    struct gate_scores s;

    for (uint32_t i = 0; i < count; i++) {
        if (outputs[i].name != OUTPUT_SCORES)
            continue;
        if (!read_scores(f, &outputs[i].blob, &s, err))
            return false;
        judge(f, t, &s, verdict);
        gate_scores_free(&s);
        return true;
    }
    return error_set(err, ERROR_INPUT, "a decode without scores");
}

static bool is_unjudged(const struct task *t)
{
    return t->state == TASK_DONE && !t->verdict && !work_ended(t->video->state);
}

void judging_pronounce(struct farm *f, struct task *t, const struct gate_verdict *verdict)
{
    char text[400];

    if (!is_unjudged(t))
        return;
    if (!verdict_passed(verdict)) {
        verdict_text(verdict, text, sizeof text);
        log_warn("take.failed",
                 "campaign=%" PRIu64 " video=%" PRIu64 " shot=%" PRIu32 " take=%" PRIu32 " of=%" PRIu32 " gates=\"%s\"",
                 t->video->campaign->id.v, t->video->id.v, t->shot, t->take + 1, t->video->campaign->takes, text);
    }
    takes_judged(&f->ledger, t, verdict, f->wall_ms);
}

void judging_drain(struct farm *f)
{
    struct task *t;
    struct gate_scores s;
    struct gate_verdict verdict;
    struct error fault;

    while ((t = ledger_next_unjudged(&f->ledger))) {
        if (!is_unjudged(t))
            continue;
        if (read_scores(f, task_find_output(t, OUTPUT_SCORES), &s, &fault)) {
            judge(f, t, &s, &verdict);
            gate_scores_free(&s);
            judging_pronounce(f, t, &verdict);
        } else {
            log_warn("scores.unreadable", "task=%" PRIu64 " reason=\"%s\"", t->id.v, fault.text);
            task_redo(&f->ledger, t);
        }
    }
}
