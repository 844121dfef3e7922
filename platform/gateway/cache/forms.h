// Compressed forms of what is stored, in the same store, so that they count in its bound and go
// when nobody wants them: a hit is not compressed again.
//
// What is stored of an answer is its identity form, one for all clients; a form of it lies under
// the answer's key with the coding behind it, and is good as long as it has the number of the body
// that is stored now. So nothing has to find and remove the forms of an answer that is replaced.
#pragma once

#include "platform/gateway/cache/store.h"
#include "platform/http/coding/encoded_forms.h"

namespace starling::gateway {

// Of `stored`, for the request that it answers, whose fields must live as long. `owner` keeps
// `store` alive. Find and Keep cost one look into the store.
std::shared_ptr<http::EncodedForms> FormsInStore(std::shared_ptr<const void> owner, Store& store,
                                                 const StoredResponse& stored,
                                                 const http::Headers& request);

}  // namespace starling::gateway
