#include "apps/starling/services.h"
#include "contracts/profile/v1/profile.service.h"
#include "platform/security/token.h"

namespace starling {
namespace {

class SessionAuthenticator final : public security::Authenticator {
 public:
  explicit SessionAuthenticator(std::shared_ptr<profile::v1::Profile> profile)
      : profile_(std::move(profile)) {}

  bool Recognises(std::string_view token) const override { return security::IsSessionToken(token); }

  Task<StatusOr<std::shared_ptr<const security::Identity>>> Authenticate(
      std::string_view token) override {
    const auto hash = security::HashToken(token);
    if (!hash) co_return Unauthenticated("the token is no session token");
    CallContext context = CallContext::ForService("edge", std::chrono::seconds(2));
    profile::v1::ResolveSessionRequest request;
    request.set_token_hash(std::string(hash->view()));
    StatusOr<profile::v1::ResolvedSession> session =
        co_await profile_->ResolveSession(context, request);
    if (session.status().code() == StatusCode::kNotFound) {
      co_return Unauthenticated("the session is unknown or has expired; sign in again");
    }
    if (!session.ok()) co_return session.status();
    security::Identity identity{.kind = security::Identity::kUser, .subject = session->user_id()};
    identity.session = std::string(hash->view());
    identity.expires_at = TimePoint(std::chrono::seconds(session->expires_at().seconds()) +
                                    Duration(session->expires_at().nanos()));
    co_return std::make_shared<const security::Identity>(std::move(identity));
  }

 private:
  const std::shared_ptr<profile::v1::Profile> profile_;
};

}  // namespace

std::unique_ptr<security::Authenticator> MakeSessionAuthenticator(const rpc::Registry& services) {
  auto profile = services.Get<profile::v1::Profile>();
  return profile == nullptr ? nullptr : std::make_unique<SessionAuthenticator>(std::move(profile));
}

}  // namespace starling
