#include "platform/json/reader.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "platform/base/nearest.h"
#include "platform/json/base64.h"
#include "platform/json/number.h"
#include "platform/json/shown.h"
#include "platform/json/utf8.h"
#include "platform/json/writer.h"

// The first stage is reached by the interface that simdjson keeps for its own parsers; check it
// when this changes.
static_assert(simdjson::SIMDJSON_VERSION_MAJOR == 3,
              "platform/json/reader.cc knows the first stage of simdjson 3");

namespace starling::json {

// What a thread keeps between documents.
struct Reader::Scratch {
  std::unique_ptr<char[]> text;  // the document and simdjson's padding, zeros
  size_t capacity = 0;           // of the document
  std::unique_ptr<simdjson::internal::dom_parser_implementation> indexer;
  std::string decoded;
  std::string key;
};

namespace {

constexpr size_t kFirstCapacity = 4096;
constexpr size_t kLargestKept = size_t{256} * 1024;

// Stands for the tokens of a text that has none.
constexpr uint32_t kNoTokens[4] = {0, 0, 0, 0};

}  // namespace

Reader::Reader(std::string_view json) : text_(""), token_(kNoTokens), last_(kNoTokens) {
  scratch_ = std::move(KeptByThread());
  if (scratch_ == nullptr) scratch_ = std::make_unique<Scratch>();
  if (json.size() > simdjson::SIMDJSON_MAXSIZE_BYTES) {
    Invalid("the document is above 4 GiB");
    return;
  }
  if (scratch_->capacity < json.size() || scratch_->indexer == nullptr) {
    const size_t capacity = std::max(kFirstCapacity, std::bit_ceil(json.size()));
    scratch_->capacity = 0;
    scratch_->text = std::make_unique_for_overwrite<char[]>(capacity + simdjson::SIMDJSON_PADDING);
    constexpr size_t kUnusedDepth = 8;
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(
            std::min<size_t>(capacity, simdjson::SIMDJSON_MAXSIZE_BYTES), kUnusedDepth,
            scratch_->indexer) != simdjson::SUCCESS) {
      scratch_->indexer = nullptr;
      Invalid("no memory to index the document");
      return;
    }
    scratch_->capacity = capacity;
  }
  char* const text = scratch_->text.get();
  std::memcpy(text, json.data(), json.size());
  std::memset(text + json.size(), 0, simdjson::SIMDJSON_PADDING);
  const simdjson::error_code error = scratch_->indexer->stage1(
      reinterpret_cast<const uint8_t*>(text), json.size(), simdjson::stage1_mode::regular);
  if (error != simdjson::SUCCESS) {
    FailIndexing(json);
    return;
  }
  text_ = text;
  token_ = scratch_->indexer->structural_indexes.get();
  last_ = token_ + scratch_->indexer->n_structural_indexes;
}

std::unique_ptr<Reader::Scratch>& Reader::KeptByThread() {
  thread_local std::unique_ptr<Scratch> kept;
  return kept;
}

Reader Reader::OfText(std::string_view path, std::string_view text) {
  Writer writer;
  int levels = 0;
  for (size_t begin = 0; begin <= path.size(); ++levels) {
    const size_t end = std::min(path.find('.', begin), path.size());
    writer.BeginObject();
    writer.Name(path.substr(begin, end - begin));
    begin = end + 1;
  }
  writer.String(text);
  for (; levels > 0; --levels) writer.EndObject();
  Reader reader(writer.text());
  reader.plain_text_ = true;
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    reader.Invalid("the text is not UTF-8");
    reader.InField(path);
  }
  return reader;
}

Reader::Reader(Reader&& other) noexcept = default;

Reader::~Reader() {
  if (scratch_ != nullptr && scratch_->capacity <= kLargestKept)
    KeptByThread() = std::move(scratch_);
}

bool Reader::Bool(bool* value) {
  const char* const at = text_ + token_[0];
  if (*at == 't' && TokenEnd() == at + 4 && std::memcmp(at, "true", 4) == 0) {
    *value = true;
  } else if (*at == 'f' && TokenEnd() == at + 5 && std::memcmp(at, "false", 5) == 0) {
    *value = false;
  } else if (plain_text_ && *at == '"') {
    const std::string_view text(at + 1, static_cast<size_t>(StringEnd() - at - 1));
    if (text != "true" && text != "false") return Expected("bool (true or false)");
    *value = text == "true";
  } else {
    return Expected("bool");
  }
  ++token_;
  return true;
}

bool Reader::Int32(int32_t* value) { return Integer("int32", value); }
bool Reader::UInt32(uint32_t* value) { return Integer("uint32", value); }
bool Reader::Int64(int64_t* value) { return Integer("int64", value); }
bool Reader::UInt64(uint64_t* value) { return Integer("uint64", value); }
bool Reader::Float(float* value) { return Floating("float", value); }
bool Reader::Double(double* value) { return Floating("double", value); }

bool Reader::NumberText(std::string_view expected, std::string_view* text) {
  const char* const at = text_ + token_[0];
  if (*at == '-' || (*at >= '0' && *at <= '9')) {
    *text = {at, static_cast<size_t>(TokenEnd() - at)};
    return true;
  }
  if (*at != '"') return Expected(expected);
  const char* const end = StringEnd();
  *text = {at + 1, static_cast<size_t>(end - at - 1)};
  if (text->find('\\') == std::string_view::npos) return true;
  if (!Unescape(at + 1, end, &scratch_->decoded)) return false;
  *text = scratch_->decoded;
  return true;
}

template <typename T>
bool Reader::Integer(std::string_view expected, T* value) {
  std::string_view text;
  if (!NumberText(expected, &text)) return false;
  const ParsedNumber<T> number = ParseInteger<T>(text);
  switch (number.fault) {
    case NumberFault::kNone:
      break;
    case NumberFault::kNotANumber:
      return Expected(expected);
    case NumberFault::kFraction:
      return Invalid(
          fmt::format("expected {}, found {}, which is not a whole number", expected, Shown(text)));
    case NumberFault::kRange:
      return Invalid(
          fmt::format("expected {}, found {}, which is out of range", expected, Shown(text)));
  }
  *value = number.value;
  ++token_;
  return true;
}

template <typename T>
bool Reader::Floating(std::string_view expected, T* value) {
  std::string_view text;
  if (!NumberText(expected, &text)) return false;
  const ParsedNumber<T> number = ParseFloating<T>(text);
  *value = number.value;
  if (number.fault == NumberFault::kRange) {
    return Invalid(
        fmt::format("expected {}, found {}, which is out of range", expected, Shown(text)));
  }
  if (number.fault != NumberFault::kNone) {
    if (Peek() != '"') return Expected(expected);
    if (text == "NaN") {
      *value = std::numeric_limits<T>::quiet_NaN();
    } else if (text == "Infinity") {
      *value = std::numeric_limits<T>::infinity();
    } else if (text == "-Infinity") {
      *value = -std::numeric_limits<T>::infinity();
    } else {
      return Expected(expected);
    }
  }
  ++token_;
  return true;
}

bool Reader::String(std::string* value) {
  if (Peek() != '"') [[unlikely]]
    return Expected("string");
  const char* const begin = text_ + token_[0] + 1;
  const char* const end = StringEnd();
  const auto size = static_cast<size_t>(end - begin);
  if (std::memchr(begin, '\\', size) != nullptr) {
    if (!Unescape(begin, end, value)) return false;
  } else {
    value->assign(begin, size);
  }
  ++token_;
  return true;
}

bool Reader::Text(std::string_view expected, std::string_view* value) {
  if (Peek() != '"') return Expected(expected);
  const char* const begin = text_ + token_[0] + 1;
  const char* const end = StringEnd();
  *value = {begin, static_cast<size_t>(end - begin)};
  if (value->find('\\') != std::string_view::npos) {
    if (!Unescape(begin, end, &scratch_->decoded)) return false;
    *value = scratch_->decoded;
  }
  ++token_;
  return true;
}

bool Reader::Bytes(std::string* value) {
  std::string_view text;
  if (!Text("base64 string", &text)) return false;
  std::optional<std::string> bytes = DecodeBase64(text);
  if (!bytes) return Invalid(fmt::format("expected base64, found \"{}\"", Shown(text)));
  *value = *std::move(bytes);
  return true;
}

bool Reader::Enum(const EnumNames& names, int32_t* value) {
  const char c = Peek();
  if (c == '-' || (c >= '0' && c <= '9')) return Int32(value);
  std::string_view text;
  if (!Text(names.name, &text)) return false;
  if (const int32_t* known = names.find(text); known != nullptr) {
    *value = *known;
    return true;
  }
  if (plain_text_) {
    if (const auto number = ParseInteger<int32_t>(text); number.fault == NumberFault::kNone) {
      *value = number.value;
      return true;
    }
  }
  const std::vector<std::string> known(names.names.begin(), names.names.end());
  return Invalid(
      fmt::format("'{}' is no value of {}{}", Shown(text), names.name, DidYouMean(text, known)));
}

bool Reader::SkipNullSlow() {
  const char* const at = text_ + token_[0];
  if (TokenEnd() != at + 4 || std::memcmp(at, "null", 4) != 0) return false;
  ++token_;
  return true;
}

bool Reader::DecodeKey(std::string_view* key) {
  *key = {key_, static_cast<size_t>(key_end_ - key_)};
  if (key->find('\\') == std::string_view::npos) return true;
  if (!Unescape(key_, key_end_, &scratch_->key)) return false;
  *key = scratch_->key;
  return true;
}

bool Reader::Unescape(const char* begin, const char* end, std::string* out) {
  out->clear();
  const auto hex4 = [&](const char* at) -> int64_t {
    if (end - at < 4) return -1;
    uint32_t value = 0;
    const auto [stop, error] = std::from_chars(at, at + 4, value, 16);
    return error == std::errc() && stop == at + 4 ? int64_t{value} : -1;
  };
  for (const char* at = begin; at < end;) {
    if (*at != '\\') {
      const auto* const stretch =
          static_cast<const char*>(std::memchr(at, '\\', static_cast<size_t>(end - at)));
      const char* const stop = stretch != nullptr ? stretch : end;
      out->append(at, static_cast<size_t>(stop - at));
      at = stop;
      continue;
    }
    // A backslash is never the last character before the closing quote, so at[1] is there.
    const char escape = at[1];
    static constexpr std::string_view kEscapes = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (const size_t index = kEscapes.find(escape); index != std::string_view::npos) {
      out->push_back(kMeanings[index]);
      at += 2;
      continue;
    }
    if (escape != 'u') return MalformedAt(at, "unknown escape in a string");
    const int64_t first = hex4(at + 2);
    if (first < 0) return MalformedAt(at, "\\u needs four hexadecimal digits");
    auto code_point = static_cast<uint32_t>(first);
    const char* next = at + 6;
    if (code_point >= 0xdc00 && code_point <= 0xdfff) {
      return MalformedAt(at, "a low surrogate without the high one before it");
    }
    if (code_point >= 0xd800 && code_point <= 0xdbff) {
      const int64_t low =
          end - next >= 6 && next[0] == '\\' && next[1] == 'u' ? hex4(next + 2) : -1;
      if (low < 0xdc00 || low > 0xdfff) {
        return MalformedAt(at, "a high surrogate without the low one after it");
      }
      code_point = 0x10000 + ((code_point - 0xd800) << 10) + (static_cast<uint32_t>(low) - 0xdc00);
      next += 6;
    }
    AppendUtf8(code_point, *out);
    at = next;
  }
  return true;
}

bool Reader::SkipUnchecked() {
  int open = 0;
  do {
    const char c = Peek();
    if (c == '\0' && token_ == last_) return Malformed("expected a value");
    if (c == '{' || c == '[') ++open;
    if (c == '}' || c == ']') --open;
    if (open < 0) return Malformed("expected a value");
    ++token_;
  } while (open > 0);
  return true;
}

}  // namespace starling::json
