#include "services/profile/session_table.h"

namespace starling::profile {

Status SessionTable::CheckRoom() const {
  if (size_ < limit_) return OkStatus();
  return ResourceExhausted("{} users are signed in, the limit; try again later", limit_);
}

void SessionTable::Add(const security::TokenHash& hash, Session session) {
  Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  if (part.sessions.insert_or_assign(hash, std::move(session)).second) ++size_;
}

std::optional<SessionTable::Session> SessionTable::Find(const security::TokenHash& hash,
                                                        TimePoint now) const {
  const Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  const auto at = part.sessions.find(hash);
  if (at == part.sessions.end() || at->second.expires_at <= now) return std::nullopt;
  return at->second;
}

void SessionTable::Remove(const security::TokenHash& hash) {
  Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  size_ -= part.sessions.erase(hash);
}

template <typename Gone>
void SessionTable::RemoveIf(Gone gone) {
  for (Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    size_ -= std::erase_if(part.sessions, [&](const auto& entry) { return gone(entry.second); });
  }
}

void SessionTable::RemoveUser(std::string_view user_id) {
  RemoveIf([&](const Session& session) { return session.user_id == user_id; });
}

void SessionTable::RemoveExpired(TimePoint now) {
  RemoveIf([&](const Session& session) { return session.expires_at <= now; });
}

}  // namespace starling::profile
