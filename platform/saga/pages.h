// What an operator sees of the sagas of a process, on the admin port:
//
//   GET /sagas                 the newest runs, of every service here
//       ?service=orders&saga=place_order&phase=compensating&stuck=1&limit=20
//   GET /sagas/ID?service=orders    one run: each step with times, attempts, key and last error
//
// A page for people, JSON for who accepts application/json and no HTML. The state of a run is not
// shown: it may hold what is nobody's business. Costs one read of each engine's database.
#pragma once

#include "platform/base/status.h"
#include "platform/http/router.h"
#include "platform/saga/directory.h"

namespace starling::saga {

// `directory` must outlive the router.
Status AddSagaRoutes(http::Router& router, const Directory& directory);

}  // namespace starling::saga
