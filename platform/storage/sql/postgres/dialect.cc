#include "platform/storage/sql/postgres/dialect.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace starling::sql {
namespace {

constexpr size_t kShownSql = 160;
constexpr int kMaxParameter = 65'535;  // the protocol's

std::string_view Shown(std::string_view sql) { return sql.substr(0, kShownSql); }

bool IsWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWord(char c) { return IsWordStart(c) || IsDigit(c) || c == '$'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

struct Token {
  enum Kind { kWord, kNumber, kQuoted, kParameter, kSign };
  Kind kind;
  std::string_view text;
  std::string upper;         // of a word
  bool after_space = false;  // white space or a comment stood before it
};

std::string Upper(std::string_view word) {
  std::string upper(word);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

// Where white space and comments that begin at `at` end.
StatusOr<size_t> SkipSpace(std::string_view sql, size_t at) {
  while (at < sql.size()) {
    if (IsSpace(sql[at])) {
      ++at;
    } else if (sql.substr(at, 2) == "--") {
      at = std::min(sql.find('\n', at), sql.size());
    } else if (sql.substr(at, 2) == "/*") {
      const size_t end = sql.find("*/", at + 2);
      if (end == std::string_view::npos)
        return Internal("a comment does not end in '{}'", Shown(sql));
      at = end + 2;
    } else {
      break;
    }
  }
  return at;
}

// The end of a string or a quoted name; a doubled quote is one within it.
StatusOr<size_t> EndOfQuoted(std::string_view sql, size_t at) {
  const char quote = sql[at];
  for (size_t i = at + 1; i < sql.size(); ++i) {
    if (sql[i] != quote) continue;
    if (i + 1 == sql.size() || sql[i + 1] != quote) return i + 1;
    ++i;
  }
  return Internal("a quote does not end in '{}'", Shown(sql));
}

size_t EndOfWord(std::string_view sql, size_t at) {
  while (at < sql.size() && IsWord(sql[at])) ++at;
  return at;
}

size_t EndOfNumber(std::string_view sql, size_t at) {
  while (at < sql.size() && (IsDigit(sql[at]) || sql[at] == '.' || IsWordStart(sql[at]))) {
    const bool exponent = sql[at] == 'e' || sql[at] == 'E';
    ++at;
    if (exponent && at < sql.size() && (sql[at] == '-' || sql[at] == '+')) ++at;
  }
  return at;
}

StatusOr<std::vector<Token>> Tokens(std::string_view sql) {
  std::vector<Token> tokens;
  size_t at = 0;
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const size_t begin, SkipSpace(sql, at));
    if (begin == sql.size()) return tokens;
    Token token{Token::kSign, {}, {}, begin != at};
    const char first = sql[begin];
    size_t end = begin + 1;
    if (first == '\'' || first == '"') {
      token.kind = Token::kQuoted;
      STARLING_ASSIGN_OR_RETURN(end, EndOfQuoted(sql, begin));
    } else if (IsWordStart(first)) {
      token.kind = Token::kWord;
      end = EndOfWord(sql, begin);
      token.upper = Upper(sql.substr(begin, end - begin));
    } else if (IsDigit(first)) {
      token.kind = Token::kNumber;
      end = EndOfNumber(sql, begin);
    } else if (first == '?') {
      token.kind = Token::kParameter;
      while (end < sql.size() && IsDigit(sql[end])) ++end;
    }
    token.text = sql.substr(begin, end - begin);
    tokens.push_back(std::move(token));
    at = end;
  }
}

// One statement's tokens, written anew.
class Writer {
 public:
  Writer(std::span<const Token> tokens, std::string_view sql) : tokens_(tokens), sql_(sql) {}

  StatusOr<PostgresStatement> Write() {
    STARLING_RETURN_IF_ERROR(CheckVerb());
    const bool table =
        WordAt(0, "CREATE") || WordAt(0, "ALTER")
            ? std::any_of(
                  tokens_.begin() + 1,
                  tokens_.begin() + static_cast<ptrdiff_t>(std::min<size_t>(tokens_.size(), 4)),
                  [](const Token& token) { return token.upper == "TABLE"; })
            : false;
    for (size_t i = 0; i < tokens_.size();) {
      const Token& token = tokens_[i];
      if (token.kind == Token::kParameter) {
        STARLING_RETURN_IF_ERROR(AddParameter(token));
        ++i;
        continue;
      }
      if (token.text == "(") ++depth_;
      if (token.text == ")") --depth_;
      if (table && token.kind == Token::kWord) {
        if (const size_t used = AddTableWord(i); used > 0) {
          i += used;
          continue;
        }
      }
      Add(token, token.text);
      ++i;
    }
    return std::move(out_);
  }

 private:
  bool WordAt(size_t i, std::string_view word) const {
    return i < tokens_.size() && tokens_[i].kind == Token::kWord && tokens_[i].upper == word;
  }

  void Add(const Token& token, std::string_view text) {
    if (!out_.text.empty() && token.after_space) out_.text += ' ';
    out_.text += text;
  }

  Status CheckVerb() {
    static constexpr std::string_view kOwn[] = {
        "ABORT",   "ATTACH", "BEGIN",    "CHECKPOINT", "COMMIT", "COPY",   "DETACH",
        "DISCARD", "END",    "LISTEN",   "LOCK",       "NOTIFY", "PRAGMA", "PREPARE",
        "RELEASE", "RESET",  "ROLLBACK", "SAVEPOINT",  "SET",    "START",  "VACUUM"};
    const std::string& verb = tokens_.front().upper;
    if (std::find(std::begin(kOwn), std::end(kOwn), verb) != std::end(kOwn)) {
      return Internal("{} is not for a Read, a Write or a migration, the database does it: '{}'",
                      verb, Shown(sql_));
    }
    out_.defines_tables = verb == "CREATE" || verb == "ALTER" || verb == "DROP";
    out_.counts_changes = verb == "INSERT" || verb == "UPDATE" || verb == "DELETE";
    if (verb == "WITH") {
      out_.counts_changes = std::any_of(tokens_.begin(), tokens_.end(), [](const Token& token) {
        return token.upper == "INSERT" || token.upper == "UPDATE" || token.upper == "DELETE";
      });
    }
    return OkStatus();
  }

  Status AddParameter(const Token& token) {
    const std::string_view digits = token.text.substr(1);
    int number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (number < 1 || number > kMaxParameter) {
      return Internal("'{}' is no parameter, number them from ?1: '{}'", token.text, Shown(sql_));
    }
    out_.parameters = std::max(out_.parameters, number);
    Add(token, fmt::format("${}", number));
    return OkStatus();
  }

  // Writes a type or a hint of CREATE TABLE; how many tokens that took.
  size_t AddTableWord(size_t i) {
    const Token& token = tokens_[i];
    if (WordAt(i, "INTEGER")) {
      if (!WordAt(i + 1, "PRIMARY") || !WordAt(i + 2, "KEY")) {
        Add(token, "BIGINT");
        return 1;
      }
      Add(token, "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY");
      return WordAt(i + 3, "AUTOINCREMENT") ? 4 : 3;
    }
    static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
        {"REAL", "DOUBLE PRECISION"}, {"BLOB", "BYTEA"}, {"TEXT", "TEXT COLLATE \"C\""}};
    for (const auto& [word, type] : kTypes) {
      if (!WordAt(i, word)) continue;
      Add(token, type);
      return 1;
    }
    if (depth_ > 0) return 0;
    // Hints for the embedded engine, with the comma between them.
    size_t used = 0;
    if (WordAt(i, "WITHOUT") && WordAt(i + 1, "ROWID")) used = 2;
    if (WordAt(i, "STRICT")) used = 1;
    if (used > 0 && i + used < tokens_.size() && tokens_[i + used].text == ",") ++used;
    return used;
  }

  const std::span<const Token> tokens_;
  const std::string_view sql_;
  PostgresStatement out_;
  int depth_ = 0;
};

}  // namespace

StatusOr<std::vector<PostgresStatement>> TranslateScript(std::string_view script) {
  STARLING_ASSIGN_OR_RETURN(const std::vector<Token> tokens, Tokens(script));
  std::vector<PostgresStatement> statements;
  for (auto begin = tokens.begin(); begin != tokens.end();) {
    const auto end =
        std::find_if(begin, tokens.end(), [](const Token& token) { return token.text == ";"; });
    if (begin != end) {
      const std::string_view sql(begin->text.data(),
                                 std::prev(end)->text.data() + std::prev(end)->text.size());
      STARLING_ASSIGN_OR_RETURN(PostgresStatement statement,
                                Writer(std::span(begin, end), sql).Write());
      statements.push_back(std::move(statement));
    }
    begin = end == tokens.end() ? end : std::next(end);
  }
  return statements;
}

StatusOr<PostgresStatement> Translate(std::string_view sql) {
  STARLING_ASSIGN_OR_RETURN(std::vector<PostgresStatement> statements, TranslateScript(sql));
  if (statements.empty()) return Internal("'{}' has no statement", Shown(sql));
  if (statements.size() > 1)
    return Internal("'{}' has more than one statement: run them one by one", Shown(sql));
  return std::move(statements.front());
}

}  // namespace starling::sql
