/* store_db - the store's connection to SQLite: its file, its prepared statements, and their columns one after the
 * other. For the store's own files only. */
#ifndef SHOTLINE_COORDINATOR_STORE_STORE_DB_H
#define SHOTLINE_COORDINATOR_STORE_STORE_DB_H

#include "coordinator/store/store.h"

#include <sqlite3.h>

enum statement {
    BEGIN,
    COMMIT,
    SAVE_COUNTER,
    SAVE_CAMPAIGN,
    SAVE_VIDEO,
    SAVE_TASK,
    ADD_TASK,
    DROP_TASKS,
    SAVE_WORKER,
    PUT_FORGOTTEN,
    FIND_FORGOTTEN,
    DROP_CAMPAIGN,
    DROP_RESULT,
    PUT_RESULT,
    FIND_RESULT,
    PUT_EVICTED,
    PUT_PLAN,
    FIND_PLAN,
    EACH_CAMPAIGN,
    EACH_VIDEO,
    EACH_TASK,
    EACH_WORKER,
    FIND_COUNTER,
    FIND_TASK,
    FIND_DONE,
    PUT_KEY,
    EACH_KEY,
    DROP_KEY,
    STATEMENTS
};

struct store {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[STATEMENTS];
    bool in_transaction;
    struct store_work work;
};

/* Binds in order of the columns. */
struct binder {
    sqlite3_stmt *q;
    int next;
};

struct binder db_bind(struct store *s, enum statement which);
void db_int(struct binder *b, int64_t v);
void db_text(struct binder *b, const char *text); /* NULL stays NULL; text must live until the step */
void db_blob(struct binder *b, const void *data, size_t size);
void db_digest(struct binder *b, const struct digest *d); /* NULL stays NULL */
void db_key(struct binder *b, const struct curve_key *k); /* none becomes NULL */
/* Runs a statement that gives no rows. */
bool db_run(struct store *s, struct binder b, const char *doing, struct error *err);
/* Whether the statement that was run last found a row to change. */
bool db_changed(struct store *s);
/* Opens the turn's transaction, unless it is open. */
bool db_begin(struct store *s, struct error *err);

/* False when the column has another size. */
bool db_read_bytes(sqlite3_stmt *q, int column, void *to, int size);
bool db_read_key(sqlite3_stmt *q, int column, struct curve_key *k); /* NULL is none */

/* Says what SQLite said; false. */
bool db_fail(struct store *s, struct error *err, const char *doing);

#endif
