#include "platform/http/coding/accept_encoding.h"

#include "platform/http/syntax.h"

namespace starling::http {
namespace {

constexpr int16_t kFull = 1000;

// "0.5" in thousandths (RFC 9110, 12.4.2): at most three decimals, not above 1. -1 for anything
// else.
int16_t ParseWeight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return -1;
  int16_t weight = text[0] == '1' ? kFull : 0;
  if (text.size() == 1) return weight;
  if (text[1] != '.') return -1;
  int16_t unit = 100;
  for (const char c : text.substr(2)) {
    if (c < '0' || c > '9') return -1;
    weight = static_cast<int16_t>(weight + unit * (c - '0'));
    unit = static_cast<int16_t>(unit / 10);
  }
  return weight > kFull ? int16_t{-1} : weight;
}

}  // namespace

std::string_view CodingName(Coding coding) {
  static constexpr std::string_view kNames[] = {"identity", "gzip", "br", "zstd"};
  return kNames[static_cast<size_t>(coding)];
}

std::optional<Coding> CodingOf(std::string_view name) {
  for (size_t i = 0; i < kCodings; ++i) {
    if (EqualsIgnoreCase(name, CodingName(static_cast<Coding>(i)))) return static_cast<Coding>(i);
  }
  if (EqualsIgnoreCase(name, "x-gzip")) return Coding::kGzip;
  return std::nullopt;
}

AcceptEncoding AcceptEncoding::Parse(std::string_view value) {
  AcceptEncoding accepts;
  ForEachInList(value, [&](std::string_view member) {
    const size_t semicolon = member.find(';');
    const std::string_view name = TrimSpace(member.substr(0, semicolon));
    int16_t weight = kFull;
    if (semicolon != std::string_view::npos) {
      const std::string_view rest = TrimSpace(member.substr(semicolon + 1));
      if (rest.size() < 3 || (rest[0] != 'q' && rest[0] != 'Q') || rest[1] != '=') return;
      weight = ParseWeight(rest.substr(2));
      if (weight < 0) return;
    }
    if (name == "*") {
      accepts.others_ = weight;
    } else if (const auto coding = CodingOf(name)) {
      accepts.weights_[static_cast<size_t>(*coding)] = weight;
    }
  });
  return accepts;
}

AcceptEncoding AcceptEncoding::Of(const Headers& request) {
  const std::optional<std::string_view> first = request.Find("accept-encoding");
  if (!first) return {};
  size_t fields = 0;
  for (const Headers::Field field : request)
    fields += field.name.size() == 15 && EqualsIgnoreCase(field.name, "accept-encoding") ? 1 : 0;
  return fields == 1 ? Parse(*first) : Parse(request.Joined("accept-encoding"));
}

int AcceptEncoding::Weight(Coding coding) const {
  if (const int16_t said = weights_[static_cast<size_t>(coding)]; said != kUnsaid) return said;
  if (coding != Coding::kIdentity) return std::max<int16_t>(others_, 0);
  // Taken unless it is refused, but after whatever was named.
  return others_ == 0 ? 0 : 1;
}

std::optional<Coding> AcceptEncoding::Choose(std::span<const Coding> offered) const {
  Coding best = Coding::kIdentity;
  int most = Weight(Coding::kIdentity);
  bool is_identity = true;
  for (const Coding coding : offered) {
    const int weight = Weight(coding);
    if (weight == 0 || weight < most || (weight == most && !is_identity)) continue;
    best = coding;
    most = weight;
    is_identity = false;
  }
  if (most == 0) return std::nullopt;
  return best;
}

}  // namespace starling::http
