#include "apps/starling/demo_sign_in.h"

#include <absl/strings/numbers.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "contracts/profile/v1/profile.json.h"
#include "platform/http/problem.h"
#include "platform/json/codec.h"

namespace starling {
namespace {

using http::Exchange;
using http::Verb;
using profile::v1::Profile;

constexpr int kDefaultUsers = 24;
constexpr int kMaxUsers = 100;
constexpr Duration kPatience = std::chrono::seconds(5);

bool IsLoopback(std::string_view address) {
  const std::string text(address);
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

// "localhost:8080" gives "localhost", "[::1]:8080" gives "[::1]".
std::string_view HostName(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  const bool is_port =
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  return is_port ? authority.substr(0, colon) : authority;
}

StatusOr<int> LimitOf(const http::Request& request) {
  STARLING_ASSIGN_OR_RETURN(const http::QueryParameters query, http::ParseQuery(request.query));
  int limit = kDefaultUsers;
  for (const auto& [name, value] : query) {
    if (name != "limit") return InvalidField(name, "is unknown; there is limit");
    if (!absl::SimpleAtoi(value, &limit) || limit < 1 || limit > kMaxUsers)
      return InvalidField("limit", "'{}' is no number from 1 to {}", value, kMaxUsers);
  }
  return limit;
}

Task<Status> ListUsers(Profile& profile, Exchange& exchange) {
  CO_ASSIGN_OR_RETURN(const int limit, LimitOf(exchange.request));
  profile::v1::ListUsersRequest request;
  request.set_page_size(limit);
  CallContext context = CallContext::ForService("storefront", kPatience);
  CO_ASSIGN_OR_RETURN(const profile::v1::ListUsersResponse page,
                      co_await profile.ListUsers(context, request));
  profile::v1::ListUsersResponse shown;  // what a choice needs, and nothing else of them
  for (const profile::v1::User& user : page.users()) {
    profile::v1::User& choice = *shown.add_users();
    choice.set_user_id(user.user_id());
    choice.set_display_name(user.display_name());
  }
  exchange.response.SetBody("application/json", json::ToJson(shown));
  co_return OkStatus();
}

Task<Status> CreateSession(Profile& profile, Exchange& exchange) {
  // A page of another site can send text/plain without asking first, but not JSON.
  const auto type = exchange.request.headers.Find("content-type");
  if (!type || !http::EqualsIgnoreCase(type->substr(0, type->find(';')), "application/json")) {
    co_return WithReason(
        InvalidField("Content-Type", "'{}' is not taken; send application/json", type.value_or("")),
        reason::kUnsupportedMediaType);
  }
  profile::v1::CreateSessionForUserRequest request;
  CO_RETURN_IF_ERROR(json::FromJson(exchange.request.body, &request));
  CallContext context = CallContext::ForService("storefront", kPatience);
  CO_ASSIGN_OR_RETURN(const profile::v1::Session session,
                      co_await profile.CreateSessionForUser(context, request));
  exchange.response.status = 201;
  exchange.response.headers.Set("Cache-Control", "no-store");
  exchange.response.SetBody("application/json", json::ToJson(session));
  co_return OkStatus();
}

// A handler that answers callers on this machine by `answer`, and others, and its failures, with a
// problem.
http::Handler ForThisMachine(std::shared_ptr<Profile> profile, std::string listens_on,
                             Task<Status> (*answer)(Profile&, Exchange&)) {
  return [profile = std::move(profile), listens_on = std::move(listens_on),
          answer](Exchange& exchange) -> Task<void> {
    Status status = CheckDemoCaller(exchange.request, listens_on);
    if (status.ok()) status = co_await answer(*profile, exchange);
    if (!status.ok()) exchange.response = http::ProblemResponse(status, exchange.request.path);
  };
}

}  // namespace

Status CheckDemoCaller(const http::Request& request, std::string_view listens_on) {
  if (!IsLoopback(listens_on)) {
    return PermissionDenied(
        "demo sign-in is for the machine that Starling runs on, and http.address is '{}', which "
        "others reach; set http.address to 127.0.0.1, or sign in with a password",
        listens_on);
  }
  if (!IsLoopback(request.remote_address)) {
    return PermissionDenied(
        "demo sign-in is for the machine that Starling runs on, and this request comes from '{}'; "
        "sign in with a password",
        request.remote_address);
  }
  for (const char* header :
       {"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"}) {
    if (request.headers.Has(header)) {
      return PermissionDenied(
          "demo sign-in is for the machine that Starling runs on, and {} '{}' tells of a proxy; "
          "sign in with a password",
          header, request.headers.Joined(header));
    }
  }
  const std::string host = request.headers.Joined("host");
  const std::string_view name = HostName(host);
  if (!http::EqualsIgnoreCase(name, "localhost") && name != "127.0.0.1" && name != "[::1]") {
    return PermissionDenied(
        "demo sign-in is for the machine that Starling runs on, and Host '{}' is not its own; open "
        "the storefront as http://localhost",
        host);
  }
  if (request.headers.Has("origin") &&
      !http::EqualsIgnoreCase(request.headers.Joined("origin"), "http://" + host)) {
    return PermissionDenied(
        "demo sign-in is for Starling's own pages, and Origin '{}' is not 'http://{}'; open the "
        "storefront there",
        request.headers.Joined("origin"), host);
  }
  return OkStatus();
}

Status AddDemoSignIn(http::Router& router, std::shared_ptr<Profile> profile,
                     std::string listens_on) {
  STARLING_RETURN_IF_ERROR(
      router.Add(Verb::kGet, "/demo/users", ForThisMachine(profile, listens_on, ListUsers)));
  return router.Add(Verb::kPost, "/demo/sessions",
                    ForThisMachine(std::move(profile), std::move(listens_on), CreateSession));
}

}  // namespace starling
