#include "platform/storage/sql/postgres/target.h"

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>

namespace starling::sql {
namespace {

using std::chrono::milliseconds;

int64_t Milliseconds(Duration duration) {
  return std::max<int64_t>(1, std::chrono::duration_cast<milliseconds>(duration).count());
}

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() < 64 && (name[0] < '0' || name[0] > '9') &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

// A password with an @ that is not written %40 would be taken for a part of the host, and shown.
bool HasSecondAt(std::string_view url) {
  const size_t begin = url.find("://");
  const std::string_view authority = url.substr(begin + 3, url.find('/', begin + 3) - (begin + 3));
  return std::count(authority.begin(), authority.end(), '@') > 1;
}

Status NoUrl() {
  return InvalidArgument(
      "this is no URL of PostgreSQL; write it as "
      "postgresql://user:password@host:5432/database?sslmode=verify-full&sslrootcert=FILE, with "
      "signs of the password that are none of a URL as %40");
}

}  // namespace

StatusOr<Target> ParseTarget(const Options& options) {
  Target target;
  target.schema = options.schema;
  if (!IsPlainName(target.schema)) {
    return InvalidArgument("schema '{}' is no plain name of a to z, 0 to 9 and _", target.schema);
  }
  const std::string_view url = options.url;
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) return NoUrl();
  if (HasSecondAt(url)) return NoUrl();
  char* why = nullptr;
  PQconninfoOption* const parsed = PQconninfoParse(options.url.c_str(), &why);
  PQfreemem(why);  // it may quote the password
  if (parsed == nullptr) return NoUrl();
  std::string host = "localhost", port = "5432", database, own_options;
  for (const PQconninfoOption* option = parsed; option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view keyword = option->keyword;
    if (keyword == "host" || (keyword == "hostaddr" && host == "localhost")) host = option->val;
    if (keyword == "port") port = option->val;
    if (keyword == "dbname") database = option->val;
    if (keyword == "options") {
      own_options = option->val;
    } else {
      target.settings.emplace_back(keyword, option->val);
    }
  }
  PQconninfoFree(parsed);
  target.shown = fmt::format("PostgreSQL at {}:{}, database {}, schema {}", host, port,
                             database.empty() ? "of the user's name" : database, target.schema);
  const auto say_unless_said = [&](std::string_view keyword, std::string value) {
    const bool said = std::any_of(target.settings.begin(), target.settings.end(),
                                  [&](const auto& setting) { return setting.first == keyword; });
    if (!said) target.settings.emplace_back(keyword, std::move(value));
  };
  say_unless_said("application_name", "starling");
  say_unless_said(
      "connect_timeout",
      std::to_string(std::max<int64_t>(
          2, std::chrono::ceil<std::chrono::seconds>(options.connect_timeout).count())));
  say_unless_said("keepalives_idle", "30");
  say_unless_said("keepalives_interval", "5");
  target.settings.emplace_back("client_encoding", "UTF8");
  // A process that hangs within a transaction would hold its locks for ever.
  target.settings.emplace_back(
      "options",
      fmt::format("{} -c search_path={} -c statement_timeout={} -c lock_timeout={} -c "
                  "idle_in_transaction_session_timeout={} -c client_min_messages=warning",
                  own_options, target.schema, Milliseconds(options.statement_timeout),
                  Milliseconds(options.lock_timeout),
                  Milliseconds(options.statement_timeout) + 30'000));
  return target;
}

}  // namespace starling::sql
