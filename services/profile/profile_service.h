// What is known of users: who they are, what they prefer, what they did last, and that they are who
// they say.
//
// Owns users, passwords (argon2id), sessions (by SHA-256) and the newest 500 interactions of each
// user, fed by the topic "user-events" (starling.user.event.v1, data UserEvent as protobuf).
// Impressions are no interactions: a page shows many, and they would push out what the user did.
//
// An event counts once, however often it comes: its id is the row's, one that was pushed out is
// pushed out again, and what happened before a user was forgotten stays forgotten. So there is no
// inbox, whose table would grow with every event.
//
// Sessions are looked up in memory, and so are the newest interactions of users who are asked for
// often; the rest is read from the database. Where other instances write it too, all is read from
// it: a session that one opened or ended is so for all, and a history has what any of them wrote
// and what this one heard in the last minute. Sessions that are remembered count while the server
// is away.
#pragma once

#include <memory>

#include "contracts/profile/v1/profile.service.h"
#include "platform/host/hosted_service.h"
#include "platform/security/password.h"
#include "platform/storage/sql/sql.h"
#include "services/profile/heard_lately.h"
#include "services/profile/profile_config.h"
#include "services/profile/recent_history.h"
#include "services/profile/session_table.h"

namespace starling::profile {

class ProfileService final : public v1::Profile, public host::HostedService {
 public:
  using Contract = v1::Profile;
  static constexpr host::Keeps kKeeps = host::Keeps::kDatabase | host::Keeps::kView;
  using Config = ProfileConfig;
  static StatusOr<std::shared_ptr<ProfileService>> Create(host::Environment& environment);
  ProfileService(std::unique_ptr<sql::Database> database, host::Environment& environment);

  Task<StatusOr<v1::User>> GetUser(CallContext& context,
                                   const v1::GetUserRequest& request) override;
  Task<StatusOr<v1::User>> UpdateUser(CallContext& context,
                                      const v1::UpdateUserRequest& request) override;
  Task<StatusOr<google::protobuf::Empty>> DeleteUser(CallContext& context,
                                                     const v1::DeleteUserRequest& request) override;
  Task<StatusOr<v1::ListUsersResponse>> ListUsers(CallContext& context,
                                                  const v1::ListUsersRequest& request) override;
  Task<StatusOr<google::protobuf::Empty>> SetPassword(
      CallContext& context, const v1::SetPasswordRequest& request) override;
  Task<StatusOr<v1::GetHistoryResponse>> GetHistory(CallContext& context,
                                                    const v1::GetHistoryRequest& request) override;
  Task<StatusOr<v1::Session>> CreateSession(CallContext& context,
                                            const v1::CreateSessionRequest& request) override;
  Task<StatusOr<v1::Session>> CreateSessionForUser(
      CallContext& context, const v1::CreateSessionForUserRequest& request) override;
  Task<StatusOr<google::protobuf::Empty>> DeleteCurrentSession(
      CallContext& context, const v1::DeleteCurrentSessionRequest& request) override;
  Task<StatusOr<v1::ResolvedSession>> ResolveSession(
      CallContext& context, const v1::ResolveSessionRequest& request) override;

  Status Start() override;
  void Stop() override;

 private:
  Status LoadSessions();
  // Makes a session durable and known; NOT_FOUND when there is no such user.
  Task<StatusOr<v1::Session>> OpenSession(const std::string& user_id);
  Task<StatusOr<SessionTable::Session>> FindSession(const security::TokenHash& hash);
  Task<StatusOr<v1::GetHistoryResponse>> ReadSharedHistory(const v1::GetHistoryRequest& request,
                                                           int limit);
  Task<Status> Consume(std::span<const messaging::Delivered> events);
  Task<Status> Hear(std::span<const messaging::Delivered> events);

  host::Environment& environment_;
  std::unique_ptr<sql::Database> database_;
  SessionTable sessions_;
  RecentHistory recent_;
  HeardLately heard_;
  security::PasswordHasher passwords_;
  std::unique_ptr<messaging::Subscription> subscription_;
  std::unique_ptr<messaging::Subscription> hearing_;  // where the database is shared
};

}  // namespace starling::profile
