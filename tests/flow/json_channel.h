// A channel over HTTP/JSON, by the routes of the contract: what a client in another language would
// do, so that a test can speak to a service through the edge with the same interface as in process.
// Transcodes with protobuf's own JSON, not ours.
#pragma once

#include <memory>
#include <string>

#include "platform/http/client.h"
#include "platform/rpc/channel.h"

namespace starling::testing_support {

// `url` is "http://127.0.0.1:8080"; `token` goes into Authorization, "" sends none. `client` must
// outlive it.
std::shared_ptr<rpc::Channel> MakeJsonChannel(http::Client& client, std::string url,
                                              std::string token);

}  // namespace starling::testing_support
