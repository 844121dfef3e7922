#include "apps/starling/services.h"
#include "contracts/profile/v1/profile.service.h"
#include "platform/security/token.h"

namespace starling {
namespace {

constexpr Duration kTimeLimit = std::chrono::seconds(5);

class ProfileSessions final : public identity::SessionStore {
 public:
  explicit ProfileSessions(std::shared_ptr<profile::v1::Profile> profile)
      : profile_(std::move(profile)) {}

  Task<StatusOr<identity::NewSession>> SignIn(std::string user_id,
                                              std::string display_name) override {
    CO_RETURN_IF_ERROR(co_await EnsureUser(user_id, std::move(display_name)));
    CallContext context = CallContext::ForService("edge", kTimeLimit);
    profile::v1::CreateSessionForUserRequest request;
    request.set_user_id(user_id);
    StatusOr<profile::v1::Session> session =
        co_await profile_->CreateSessionForUser(context, request);
    if (!session.ok()) co_return session.status();
    const TimePoint end(std::chrono::seconds(session->expires_at().seconds()));
    co_return identity::NewSession{session->access_token(), end - SystemClock().Now()};
  }

  Task<Status> SignOut(std::string token) override {
    const auto hash = security::HashToken(token);
    if (!hash) co_return OkStatus();
    // As whoever holds the session: it ends the one that the call was made with.
    security::Identity caller{.kind = security::Identity::kService, .subject = "edge"};
    caller.session = std::string(hash->view());
    CallContext context(std::make_shared<const security::Identity>(std::move(caller)),
                        std::chrono::steady_clock::now() + kTimeLimit);
    const profile::v1::DeleteCurrentSessionRequest request;
    const auto ended = co_await profile_->DeleteCurrentSession(context, request);
    co_return ended.status();
  }

 private:
  // What a user has called itself here stays.
  Task<Status> EnsureUser(const std::string& user_id, std::string display_name) {
    CallContext reading = CallContext::ForService("edge", kTimeLimit);
    profile::v1::GetUserRequest known;
    known.set_user_id(user_id);
    const StatusOr<profile::v1::User> found = co_await profile_->GetUser(reading, known);
    if (found.ok() || !absl::IsNotFound(found.status())) co_return found.status();
    CallContext writing = CallContext::ForService("edge", kTimeLimit);
    profile::v1::UpdateUserRequest made;
    made.mutable_user()->set_user_id(user_id);
    made.mutable_user()->set_display_name(std::move(display_name));
    made.mutable_update_mask()->add_paths("display_name");
    const StatusOr<profile::v1::User> written = co_await profile_->UpdateUser(writing, made);
    co_return written.status();
  }

  const std::shared_ptr<profile::v1::Profile> profile_;
};

}  // namespace

std::unique_ptr<identity::SessionStore> MakeSessionStore(const rpc::Registry& services) {
  auto profile = services.Get<profile::v1::Profile>();
  return profile == nullptr ? nullptr : std::make_unique<ProfileSessions>(std::move(profile));
}

}  // namespace starling
