#include "services/profile/profile_service.h"

#include <google/protobuf/util/message_differencer.h>

#include "embedded/profile_migrations.h"
#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "platform/security/password.h"
#include "services/profile/history_table.h"
#include "services/profile/user_rules.h"

namespace starling::profile {
namespace {

using google::protobuf::Empty;
using google::protobuf::util::MessageDifferencer;

constexpr Duration kSessionLife = std::chrono::hours(24 * 7);
constexpr size_t kMaxSessions = 1'000'000;
constexpr int kDefaultHistory = 50;
constexpr int kRecent = 50;  // kept in memory
constexpr size_t kBatch = 2'048;
constexpr int kDefaultPage = 100;
constexpr int kMaxPage = 1'000;
constexpr size_t kHeard = 100'000;
constexpr char kTopic[] = "user-events";

void SetTime(int64_t nanoseconds, google::protobuf::Timestamp* out) {
  out->set_seconds(nanoseconds / 1'000'000'000);
  out->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}
void SetTime(TimePoint time, google::protobuf::Timestamp* out) {
  SetTime(time.time_since_epoch().count(), out);
}

Status NoSuchUser(std::string_view user_id) { return NotFound("there is no user '{}'", user_id); }

Status WrongUserOrPassword() { return Unauthenticated("the user or the password is wrong"); }

struct StoredUser {
  v1::User user;
  int64_t revision = 0;
};

StatusOr<std::optional<StoredUser>> FindUser(sql::Connection& connection,
                                             std::string_view user_id) {
  return connection.QueryOne(
      "SELECT revision, data FROM users WHERE user_id = ?1",
      [&](const sql::Row& row) -> StatusOr<StoredUser> {
        StoredUser stored{{}, row.Int(0)};
        const std::string_view data = row.Bytes(1);
        if (!stored.user.ParseFromArray(data.data(), static_cast<int>(data.size()))) {
          return DataLoss("the row of user '{}' is damaged; write the user again", user_id);
        }
        return stored;
      },
      user_id);
}

// A page token is the last id of the page before, in base64url.
StatusOr<std::string> AfterOf(std::string_view page_token) {
  std::string after;
  if (!Base64UrlDecode(page_token, after)) {
    return InvalidField("page_token", "'{}' was not given by this list; begin without one",
                        page_token);
  }
  return after;
}

}  // namespace

StatusOr<std::shared_ptr<ProfileService>> ProfileService::Create(host::Environment& environment) {
  STARLING_ASSIGN_OR_RETURN(auto database, environment.OpenDatabase("profile", kMigrations));
  auto service = std::make_shared<ProfileService>(std::move(database), environment);
  STARLING_RETURN_IF_ERROR(service->LoadSessions());
  return service;
}

ProfileService::ProfileService(std::unique_ptr<sql::Database> database,
                               host::Environment& environment)
    : environment_(environment),
      database_(std::move(database)),
      sessions_(kMaxSessions),
      recent_(static_cast<size_t>(environment.Config<ProfileConfig>().Get()->recent_users),
              kRecent),
      heard_(kHeard) {}

Status ProfileService::LoadSessions() {
  const int64_t now = environment_.clock().Now().time_since_epoch().count();
  STARLING_RETURN_IF_ERROR(database_->WriteSync([&](sql::Transaction& transaction) {
    return transaction.Execute("DELETE FROM sessions WHERE expires_at <= ?1", now);
  }));
  return database_->ReadSync([&](sql::Connection& connection) {
    return connection.Query(
        "SELECT token_hash, user_id, expires_at FROM sessions", [&](const sql::Row& row) {
          if (const auto hash = security::TokenHash::FromBytes(row.Bytes(0))) {
            sessions_.Add(*hash, {std::string(row.Text(1)), TimePoint(Duration(row.Int(2)))});
          }
        });
  });
}

Status ProfileService::Start() {
  STARLING_ASSIGN_OR_RETURN(
      subscription_,
      environment_.events().Subscribe(
          kTopic, "profile", {.max_batch = kBatch},
          [this](std::span<const messaging::Delivered> events) { return Consume(events); }));
  if (!database_->IsShared() || !environment_.events().FeedsViews()) return OkStatus();
  STARLING_ASSIGN_OR_RETURN(
      hearing_, environment_.Follow(
                    kTopic, "profile", {.max_batch = kBatch},
                    [this](std::span<const messaging::Delivered> events) { return Hear(events); }));
  return OkStatus();
}

void ProfileService::Stop() {
  hearing_.reset();
  subscription_.reset();
}

Task<StatusOr<v1::User>> ProfileService::GetUser(CallContext&, const v1::GetUserRequest& request) {
  CO_RETURN_IF_ERROR(CheckUserId(request.user_id(), "user_id"));
  StatusOr<std::optional<StoredUser>> found = co_await database_->Read(
      [&](sql::Connection& connection) { return FindUser(connection, request.user_id()); });
  if (!found.ok()) co_return found.status();
  if (!found->has_value()) co_return NoSuchUser(request.user_id());
  co_return (*std::move(found))->user;
}

Task<StatusOr<v1::User>> ProfileService::UpdateUser(CallContext&,
                                                    const v1::UpdateUserRequest& request) {
  CO_RETURN_IF_ERROR(CheckUserId(request.user().user_id(), "user_id"));
  const TimePoint now = environment_.clock().Now();
  co_return co_await database_->Write([&](sql::Transaction& transaction) -> StatusOr<v1::User> {
    const std::string& user_id = request.user().user_id();
    STARLING_ASSIGN_OR_RETURN(std::optional<StoredUser> old, FindUser(transaction, user_id));
    const std::string& etag = request.user().etag();
    const std::string current = old ? old->user.etag() : "";
    if (!etag.empty() && etag != current) {
      return WithReason(
          Aborted("user '{}' has changed: its ETag is \"{}\", not \"{}\"; read it again", user_id,
                  current, etag),
          reason::kEtagMismatch);
    }
    v1::User user;
    if (old) {
      user = old->user;
    } else {
      user.set_user_id(user_id);
      SetTime(now, user.mutable_create_time());
    }
    STARLING_RETURN_IF_ERROR(ApplyMask(request.user(), request.update_mask(), user));
    STARLING_RETURN_IF_ERROR(CheckUser(user));
    // What changes nothing is no change: an import that comes again leaves everything as it was.
    if (old && MessageDifferencer::Equals(user, old->user)) return user;
    const int64_t revision = old ? old->revision + 1 : 1;
    SetTime(now, user.mutable_update_time());
    user.set_etag(fmt::format("{:x}", revision));
    STARLING_RETURN_IF_ERROR(
        transaction.Execute("INSERT INTO users (user_id, revision, data) VALUES (?1, ?2, ?3) ON "
                            "CONFLICT (user_id) DO UPDATE SET revision = "
                            "excluded.revision, data = excluded.data",
                            user_id, revision, sql::Blob{user.SerializeAsString()}));
    return user;
  });
}

Task<StatusOr<Empty>> ProfileService::DeleteUser(CallContext&,
                                                 const v1::DeleteUserRequest& request) {
  CO_RETURN_IF_ERROR(CheckUserId(request.user_id(), "user_id"));
  const TimePoint now = environment_.clock().Now();
  co_return co_await database_->Write([&](sql::Transaction& transaction) -> StatusOr<Empty> {
    const std::string& user_id = request.user_id();
    STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM users WHERE user_id = ?1", user_id));
    const bool existed = transaction.changes() > 0;
    STARLING_RETURN_IF_ERROR(
        transaction.Execute("DELETE FROM passwords WHERE user_id = ?1", user_id));
    STARLING_RETURN_IF_ERROR(
        transaction.Execute("DELETE FROM sessions WHERE user_id = ?1", user_id));
    STARLING_RETURN_IF_ERROR(
        transaction.Execute("DELETE FROM history WHERE user_id = ?1", user_id));
    if (!existed && transaction.changes() == 0) return NoSuchUser(user_id);
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "INSERT INTO forgotten (user_id, forgotten_at) VALUES (?1, ?2) ON CONFLICT (user_id) DO "
        "UPDATE SET forgotten_at = excluded.forgotten_at",
        user_id, now.time_since_epoch().count()));
    transaction.OnCommit([this, user_id] {
      sessions_.RemoveUser(user_id);
      recent_.Remove(user_id);
    });
    return Empty();
  });
}

Task<StatusOr<v1::ListUsersResponse>> ProfileService::ListUsers(
    CallContext&, const v1::ListUsersRequest& request) {
  if (request.page_size() < 0 || request.page_size() > kMaxPage) {
    co_return InvalidField("page_size", "{} is outside 0 to {}", request.page_size(), kMaxPage);
  }
  CO_ASSIGN_OR_RETURN(const std::string after, AfterOf(request.page_token()));
  const int size = request.page_size() == 0 ? kDefaultPage : request.page_size();
  co_return co_await database_->Read(
      [&](sql::Connection& connection) -> StatusOr<v1::ListUsersResponse> {
        v1::ListUsersResponse page;
        bool more = false;
        STARLING_RETURN_IF_ERROR(connection.Query(
            "SELECT data FROM users WHERE user_id > ?1 ORDER BY user_id LIMIT ?2",
            [&](const sql::Row& row) -> Status {
              if (page.users_size() == size) {
                more = true;
                return OkStatus();
              }
              const std::string_view data = row.Bytes(0);
              if (!page.add_users()->ParseFromArray(data.data(), static_cast<int>(data.size()))) {
                return DataLoss(
                    "a user's row is damaged; restore the users' database from a backup");
              }
              return OkStatus();
            },
            after, size + 1));
        if (more) page.set_next_page_token(Base64UrlEncode(page.users(size - 1).user_id()));
        return page;
      });
}

Task<StatusOr<Empty>> ProfileService::SetPassword(CallContext&,
                                                  const v1::SetPasswordRequest& request) {
  CO_RETURN_IF_ERROR(CheckUserId(request.user_id(), "user_id"));
  StatusOr<std::string> encoded = co_await environment_.runtime().blocking().Run(
      [&] { return passwords_.Hash(request.password()); });
  if (!encoded.ok()) co_return encoded.status();
  co_return co_await database_->Write([&](sql::Transaction& transaction) -> StatusOr<Empty> {
    STARLING_ASSIGN_OR_RETURN(const auto user, FindUser(transaction, request.user_id()));
    if (!user) return NoSuchUser(request.user_id());
    STARLING_RETURN_IF_ERROR(
        transaction.Execute("INSERT INTO passwords (user_id, encoded) VALUES (?1, ?2) ON CONFLICT "
                            "(user_id) DO UPDATE SET encoded = "
                            "excluded.encoded",
                            request.user_id(), *encoded));
    STARLING_RETURN_IF_ERROR(
        transaction.Execute("DELETE FROM sessions WHERE user_id = ?1", request.user_id()));
    transaction.OnCommit([this, user_id = request.user_id()] { sessions_.RemoveUser(user_id); });
    return Empty();
  });
}

Task<StatusOr<v1::GetHistoryResponse>> ProfileService::GetHistory(
    CallContext&, const v1::GetHistoryRequest& request) {
  CO_RETURN_IF_ERROR(CheckUserId(request.user_id(), "user_id"));
  if (request.limit() < 0 || request.limit() > kHistory) {
    co_return InvalidField("limit", "{} is outside 0 to {}", request.limit(), kHistory);
  }
  const int limit = request.limit() == 0 ? kDefaultHistory : request.limit();
  const google::protobuf::Timestamp* const after = request.has_after() ? &request.after() : nullptr;
  if (database_->IsShared()) co_return co_await ReadSharedHistory(request, limit);
  if (auto known = recent_.Find(request.user_id(), limit, after)) co_return *std::move(known);
  RecentHistory::Load load = recent_.Begin(request.user_id());
  StatusOr<v1::GetHistoryResponse> history = co_await database_->Read(
      [&](sql::Connection& connection) -> StatusOr<v1::GetHistoryResponse> {
        return ReadHistory(connection, request.user_id(), nullptr, std::max(limit, kRecent));
      });
  if (!history.ok()) co_return history;
  recent_.End(std::move(load), *history);
  auto& interactions = *history->mutable_interactions();
  const auto end = std::find_if(interactions.begin(), interactions.end(), [&](const auto& each) {
    return !IsNewer(each.occurred_at(), after);
  });
  const int count = std::min(limit, static_cast<int>(end - interactions.begin()));
  interactions.DeleteSubrange(count, interactions.size() - count);
  co_return history;
}

Task<StatusOr<v1::GetHistoryResponse>> ProfileService::ReadSharedHistory(
    const v1::GetHistoryRequest& request, int limit) {
  const google::protobuf::Timestamp* const after = request.has_after() ? &request.after() : nullptr;
  // Before the table is read: what is in neither came after.
  const std::vector<v1::Interaction> news = heard_.Of(request.user_id());
  int64_t forgotten_at = 0;
  StatusOr<v1::GetHistoryResponse> history = co_await database_->Read(
      [&](sql::Connection& connection) -> StatusOr<v1::GetHistoryResponse> {
        if (!news.empty()) {
          STARLING_ASSIGN_OR_RETURN(forgotten_at, ForgottenAt(connection, request.user_id()));
        }
        return ReadHistory(connection, request.user_id(), after, limit);
      });
  if (history.ok()) Merge(news, after, forgotten_at, limit, *history);
  co_return history;
}

Task<Status> ProfileService::Hear(std::span<const messaging::Delivered> events) {
  const StatusOr<std::vector<ingestion::v1::UserEvent>> taken = Taken(events);
  // One by one when there is a bad one, which the group sets aside.
  if (!taken.ok()) co_return events.size() > 1 ? taken.status() : OkStatus();
  const Instant now = environment_.clock().MonotonicNow();
  for (const ingestion::v1::UserEvent& event : *taken)
    heard_.Add(event.user_id(), InteractionOf(event), now);
  co_return OkStatus();
}

Task<StatusOr<v1::Session>> ProfileService::CreateSession(CallContext&,
                                                          const v1::CreateSessionRequest& request) {
  CO_RETURN_IF_ERROR(CheckUserId(request.user_id(), "user_id"));
  CO_RETURN_IF_ERROR(sessions_.CheckRoom());
  StatusOr<std::optional<std::string>> encoded =
      co_await database_->Read([&](sql::Connection& connection) {
        return connection.QueryOne(
            "SELECT encoded FROM passwords WHERE user_id = ?1",
            [](const sql::Row& row) { return std::string(row.Text(0)); }, request.user_id());
      });
  if (!encoded.ok()) co_return encoded.status();
  // An unknown user costs as much as a known one: nobody learns by the clock who is a user.
  StatusOr<security::PasswordCheck> check = co_await environment_.runtime().blocking().Run([&] {
    return encoded->has_value() ? passwords_.Verify(request.password(), **encoded)
                                : passwords_.VerifyNothing(request.password());
  });
  if (!check.ok()) co_return check.status();
  if (!check->right) co_return WrongUserOrPassword();
  StatusOr<v1::Session> session = co_await OpenSession(request.user_id());
  // Deleted since the password was read.
  if (absl::IsNotFound(session.status())) co_return WrongUserOrPassword();
  co_return session;
}

Task<StatusOr<v1::Session>> ProfileService::CreateSessionForUser(
    CallContext&, const v1::CreateSessionForUserRequest& request) {
  CO_RETURN_IF_ERROR(CheckUserId(request.user_id(), "user_id"));
  CO_RETURN_IF_ERROR(sessions_.CheckRoom());
  co_return co_await OpenSession(request.user_id());
}

Task<StatusOr<v1::Session>> ProfileService::OpenSession(const std::string& user_id) {
  const security::Token token = security::NewSessionToken();
  const TimePoint now = environment_.clock().Now();
  const TimePoint end = now + kSessionLife;
  const Status stored = co_await database_->Write([&](sql::Transaction& transaction) -> Status {
    STARLING_ASSIGN_OR_RETURN(const auto user, FindUser(transaction, user_id));
    if (!user) return NoSuchUser(user_id);
    STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM sessions WHERE expires_at <= ?1",
                                                 now.time_since_epoch().count()));
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "INSERT INTO sessions (token_hash, user_id, expires_at) VALUES (?1, ?2, ?3)",
        sql::BlobView{token.hash.view()}, user_id, end.time_since_epoch().count()));
    transaction.OnCommit([this, hash = token.hash, user_id, now, end] {
      sessions_.RemoveExpired(now);
      sessions_.Add(hash, {user_id, end});
    });
    return OkStatus();
  });
  CO_RETURN_IF_ERROR(stored);
  v1::Session session;
  session.set_access_token(token.text);
  SetTime(end, session.mutable_expires_at());
  co_return session;
}

Task<StatusOr<Empty>> ProfileService::DeleteCurrentSession(CallContext& context,
                                                           const v1::DeleteCurrentSessionRequest&) {
  const auto hash = security::TokenHash::FromBytes(context.caller->session);
  if (!hash)
    co_return FailedPrecondition(
        "the call was not made with a session; only sessions can be signed out");
  co_return co_await database_->Write([&](sql::Transaction& transaction) -> StatusOr<Empty> {
    STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM sessions WHERE token_hash = ?1",
                                                 sql::BlobView{hash->view()}));
    transaction.OnCommit([this, hash] { sessions_.Remove(*hash); });
    return Empty();
  });
}

Task<StatusOr<v1::ResolvedSession>> ProfileService::ResolveSession(
    CallContext&, const v1::ResolveSessionRequest& request) {
  const auto hash = security::TokenHash::FromBytes(request.token_hash());
  if (!hash)
    co_return InvalidField("token_hash", "has {} bytes; a SHA-256 has 32",
                           request.token_hash().size());
  const StatusOr<SessionTable::Session> session = co_await FindSession(*hash);
  if (!session.ok()) co_return session.status();
  v1::ResolvedSession resolved;
  resolved.set_user_id(session->user_id);
  SetTime(session->expires_at, resolved.mutable_expires_at());
  co_return resolved;
}

Task<StatusOr<SessionTable::Session>> ProfileService::FindSession(const security::TokenHash& hash) {
  const TimePoint now = environment_.clock().Now();
  std::optional<SessionTable::Session> session;
  bool asked = false;
  if (database_->IsShared()) {
    auto row = co_await database_->Read([&](sql::Connection& connection) {
      return connection.QueryOne(
          "SELECT user_id, expires_at FROM sessions WHERE token_hash = ?1 AND expires_at > ?2",
          [](const sql::Row& found) {
            return SessionTable::Session{std::string(found.Text(0)),
                                         TimePoint(Duration(found.Int(1)))};
          },
          sql::BlobView{hash.view()}, now.time_since_epoch().count());
    });
    if (!row.ok() && row.status().code() != StatusCode::kUnavailable) co_return row.status();
    asked = row.ok();
    if (asked) session = *std::move(row);
  }
  if (!asked) session = sessions_.Find(hash, now);
  if (!session) co_return NotFound("the session is unknown or has expired; sign in again");
  co_return *std::move(session);
}

Task<Status> ProfileService::Consume(std::span<const messaging::Delivered> events) {
  CO_ASSIGN_OR_RETURN(const std::vector<ingestion::v1::UserEvent> taken, Taken(events));
  if (taken.empty()) co_return OkStatus();
  co_return co_await database_->Write([&](sql::Transaction& transaction) -> Status {
    STARLING_ASSIGN_OR_RETURN(std::vector<const ingestion::v1::UserEvent*> added,
                              WriteHistory(transaction, taken));
    transaction.OnCommit([this, added = std::move(added)] {
      for (const ingestion::v1::UserEvent* event : added) {
        recent_.Add(event->user_id(), InteractionOf(*event));
      }
    });
    return OkStatus();
  });
}

}  // namespace starling::profile
