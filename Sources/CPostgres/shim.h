#pragma once

#include <libpq-fe.h>

// The macro is a character, which Swift does not import.
static inline const char *kin_pq_sqlstate(const PGresult *result) {
  return PQresultErrorField(result, PG_DIAG_SQLSTATE);
}
