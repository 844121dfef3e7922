#include "platform/storage/sql/postgres/wire.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace starling::sql {
namespace {

constexpr int kBinary = 1;

template <typename T>
std::array<char, 8> BigEndian(T value) {
  auto bits = std::bit_cast<uint64_t>(value);
  std::array<char, 8> bytes;
  for (int i = 7; i >= 0; --i, bits >>= 8) bytes[static_cast<size_t>(i)] = static_cast<char>(bits);
  return bytes;
}

// Sign-extended when shorter than eight bytes.
int64_t SignedOf(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > 8) return 0;
  uint64_t bits = (bytes.front() & 0x80) != 0 ? ~uint64_t{0} : 0;
  for (const char c : bytes) bits = bits << 8 | static_cast<uint8_t>(c);
  return static_cast<int64_t>(bits);
}

int64_t Int16At(std::string_view bytes, size_t at) { return SignedOf(bytes.substr(at, 2)); }

// A NUMERIC: count of digits in base 10,000, weight of the first, sign, scale, the digits.
constexpr size_t kNumericHead = 8;
constexpr int64_t kNegative = 0x4000;

struct Numeric {
  explicit Numeric(std::string_view bytes) : bytes(bytes) {
    if (bytes.size() < kNumericHead) return;
    count = Int16At(bytes, 0);
    weight = Int16At(bytes, 2);
    const int64_t sign = Int16At(bytes, 4);
    negative = sign == kNegative;
    finite = sign == 0 || negative;
    if (bytes.size() < kNumericHead + 2 * static_cast<size_t>(count)) count = 0;
  }
  // The digit of 10,000^power.
  int64_t Digit(int64_t power) const {
    const int64_t index = weight - power;
    if (index < 0 || index >= count) return 0;
    return Int16At(bytes, kNumericHead + 2 * static_cast<size_t>(index));
  }
  bool HasFraction() const { return count > weight + 1; }
  std::string_view bytes;
  int64_t count = 0;
  int64_t weight = 0;
  bool negative = false;
  bool finite = false;
};

// Towards zero; at the ends of int64 when beyond, as a cast of the embedded engine does.
int64_t IntOf(const Numeric& numeric) {
  __int128 value = 0;
  for (int64_t power = numeric.weight; power >= 0; --power) {
    value = value * 10'000 + numeric.Digit(power);
    if (value > static_cast<__int128>(std::numeric_limits<int64_t>::max()) + 1) break;
  }
  if (numeric.negative) value = -value;
  const __int128 low = std::numeric_limits<int64_t>::min();
  const __int128 high = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::min(std::max(value, low), high));
}

double RealOf(const Numeric& numeric) {
  if (!numeric.finite) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  for (int64_t i = 0; i < numeric.count; ++i) {
    const int64_t power = numeric.weight - i;
    value +=
        static_cast<double>(numeric.Digit(power)) * std::pow(10'000, static_cast<double>(power));
  }
  return numeric.negative ? -value : value;
}

double FloatOf(std::string_view bytes) {
  if (bytes.size() == 4) return std::bit_cast<float>(static_cast<uint32_t>(SignedOf(bytes)));
  return std::bit_cast<double>(SignedOf(bytes));
}

// The number that a text begins with; 0 when it begins with none.
template <typename T>
T Beginning(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '+')) text.remove_prefix(1);
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool IsInteger(PostgresType type) {
  return type == PostgresType::kInt8 || type == PostgresType::kInt4 ||
         type == PostgresType::kInt2 || type == PostgresType::kBool;
}
bool IsFloat(PostgresType type) {
  return type == PostgresType::kFloat8 || type == PostgresType::kFloat4;
}

std::string RealText(double value) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

}  // namespace

bool IsKnown(PostgresType type) {
  switch (type) {
    case PostgresType::kBool:
    case PostgresType::kBytes:
    case PostgresType::kInt8:
    case PostgresType::kInt2:
    case PostgresType::kInt4:
    case PostgresType::kText:
    case PostgresType::kFloat4:
    case PostgresType::kFloat8:
    case PostgresType::kUnknownLiteral:
    case PostgresType::kChar:
    case PostgresType::kVarchar:
    case PostgresType::kNumeric:
      return true;
    default:
      return false;
  }
}

Status Parameters::Encode(std::span<const Argument> arguments) {
  types_.reserve(arguments.size());
  values_.reserve(arguments.size());
  lengths_.reserve(arguments.size());
  formats_.reserve(arguments.size());
  numbers_.reserve(arguments.size());  // or values_ would point into what has moved
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Argument::Variant& argument = arguments[i].get();
    if (const auto* large = std::get_if<Argument::TooLarge>(&argument)) {
      return InvalidArgument("argument ?{} is {}, above the largest integer that can be stored, {}",
                             i + 1, large->value, std::numeric_limits<int64_t>::max());
    }
    if (const auto* integer = std::get_if<int64_t>(&argument)) {
      numbers_.push_back(BigEndian(*integer));
      Add(PostgresType::kInt8, 'i', {numbers_.back().data(), 8});
    } else if (const auto* real = std::get_if<double>(&argument)) {
      numbers_.push_back(BigEndian(*real));
      Add(PostgresType::kFloat8, 'r', {numbers_.back().data(), 8});
    } else if (const auto* text = std::get_if<std::string_view>(&argument)) {
      Add(PostgresType::kText, 't', text->data() != nullptr ? *text : "");
    } else if (const auto* blob = std::get_if<BlobView>(&argument)) {
      Add(PostgresType::kBytes, 'b', blob->bytes.data() != nullptr ? blob->bytes : "");
    } else {
      Add(PostgresType::kUnknown, 'n', {});
    }
  }
  return OkStatus();
}

void Parameters::Add(PostgresType type, char letter, std::string_view bytes) {
  types_.push_back(static_cast<uint32_t>(type));
  values_.push_back(bytes.data());  // nullptr is NULL
  lengths_.push_back(static_cast<int>(bytes.size()));
  formats_.push_back(kBinary);
  signature_ += letter;
}

int64_t Column::Int() const {
  if (null) return 0;
  if (IsInteger(type)) return SignedOf(bytes);
  if (type == PostgresType::kNumeric) return IntOf(Numeric(bytes));
  if (IsFloat(type)) return static_cast<int64_t>(FloatOf(bytes));
  return Beginning<int64_t>(bytes);
}

double Column::Real() const {
  if (null) return 0;
  if (IsFloat(type)) return FloatOf(bytes);
  if (IsInteger(type)) return static_cast<double>(SignedOf(bytes));
  if (type == PostgresType::kNumeric) return RealOf(Numeric(bytes));
  return Beginning<double>(bytes);
}

std::string_view Column::Text(std::string& scratch) const {
  if (null) return {};
  if (IsInteger(type) || (type == PostgresType::kNumeric && !Numeric(bytes).HasFraction())) {
    scratch = std::to_string(Int());
  } else if (IsFloat(type) || type == PostgresType::kNumeric) {
    scratch = RealText(Real());
  } else {
    return bytes;
  }
  return scratch;
}

Value Column::Get() const {
  if (null) return nullptr;
  if (type == PostgresType::kBytes) return Blob{std::string(bytes)};
  if (IsFloat(type)) return Real();
  if (IsInteger(type)) return Int();
  if (type == PostgresType::kNumeric) {
    if (Numeric(bytes).HasFraction()) return Real();
    return Int();
  }
  return std::string(bytes);
}

}  // namespace starling::sql
