#pragma once

#include <sqlite3.h>

// Swift does not import functions with variable arguments.
static inline int kin_sqlite3_db_config(sqlite3 *database, int option, int value) {
  return sqlite3_db_config(database, option, value, (int *)0);
}
