// The services that Starling has, in the order in which a process starts them. `starling new
// service` adds a line.
#pragma once

#include <memory>
#include <vector>

#include "platform/host/process.h"

namespace starling {

std::vector<host::ServiceEntry> Services();

// Asks the profile service whose a session token is; nullptr when this process cannot reach it.
std::unique_ptr<security::Authenticator> MakeSessionAuthenticator(const rpc::Registry& services);

// Where people who sign in at an OpenID provider are users and have sessions; nullptr when this
// process cannot reach the profile service.
std::unique_ptr<identity::SessionStore> MakeSessionStore(const rpc::Registry& services);

// The event log of the process that serves `events`.
std::unique_ptr<messaging::EventLog> MakeRemoteEvents(std::shared_ptr<rpc::Channel> channel,
                                                      Runtime& runtime);

}  // namespace starling
