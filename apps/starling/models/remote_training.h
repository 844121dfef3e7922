// The training service of a server, by the routes of its HTTP API.
#pragma once

#include <memory>
#include <string>

#include "contracts/training/v1/training.service.h"
#include "platform/http/client.h"

namespace starling {

// `client` must outlive it. url: "http://127.0.0.1:8080"; key: an API key with models.write, or ""
// for none.
std::shared_ptr<training::v1::Training> MakeRemoteTraining(http::Client& client, std::string url,
                                                           std::string key);

}  // namespace starling
