// From a request to an answer, by one loaded version: the part of a call that takes its time.
#pragma once

#include "services/inference/loaded_model.h"

namespace starling::inference {

// INVALID_ARGUMENT names the field that is beyond its limit.
Status CheckRequest(const v1::RecommendRequest& request);

// Uses buffers of the calling thread; no allocation but for the answer's. A user whom the model
// knows and who did nothing since is ranked once, and remembered.
v1::RecommendResponse Rank(const LoadedModel& model, const v1::RecommendRequest& request,
                           TimePoint now);

}  // namespace starling::inference
