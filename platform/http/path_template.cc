#include "platform/http/path_template.h"

#include "platform/http/message.h"

namespace starling::http {
namespace {

using Segment = PathTemplate::Segment;

class TemplateReader {
 public:
  explicit TemplateReader(std::string_view text) : text_(text), rest_(text) {}

  StatusOr<PathTemplate> Read() {
    if (!Take('/')) return Bad("does not begin with '/'");
    if (rest_.empty()) {
      result_.segments.push_back({});  // "/" has one segment, which is empty
      return std::move(result_);
    }
    do {
      STARLING_RETURN_IF_ERROR(ReadSegment());
    } while (Take('/'));
    if (Take(':')) {
      if (rest_.empty()) return Bad("has nothing after ':'");
      if (rest_.find_first_of("/{}*:") != std::string_view::npos) {
        return Bad(fmt::format("has custom verb '{}', which may not hold any of /{{}}*:", rest_));
      }
      result_.custom_verb = std::string(rest_);
    } else if (!rest_.empty()) {
      return Bad(fmt::format("has '{}' where '/' or ':' should be", rest_));
    }
    return std::move(result_);
  }

 private:
  Status Bad(std::string_view what) const {
    return InvalidArgument("path template '{}' {}", text_, what);
  }

  bool Take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  Status ReadSegment() {
    if (!Take('{')) return ReadPlain("/:");
    const size_t name_end = std::min(rest_.find_first_of("=}/{"), rest_.size());
    const std::string name(rest_.substr(0, name_end));
    rest_.remove_prefix(name_end);
    if (name.empty()) return Bad("has a variable without a name");
    for (const auto& other : result_.variables) {
      if (other.name == name) return Bad(fmt::format("has two variables '{}'", name));
    }
    const size_t first = result_.segments.size();
    if (Take('=')) {
      do {
        if (!rest_.empty() && rest_[0] == '{')
          return Bad(fmt::format("has a variable inside '{}'", name));
        STARLING_RETURN_IF_ERROR(ReadPlain("/}"));
      } while (Take('/'));
    } else {
      STARLING_RETURN_IF_ERROR(Append({Segment::Kind::kOne, {}}));
    }
    if (!Take('}')) return Bad(fmt::format("has a variable '{}' without '}}'", name));
    result_.variables.push_back({name, first, result_.segments.size() - first,
                                 result_.segments.back().kind == Segment::Kind::kRest});
    return OkStatus();
  }

  Status ReadPlain(std::string_view ends) {
    const size_t end = std::min(rest_.find_first_of(ends), rest_.size());
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (text == "*") return Append({Segment::Kind::kOne, {}});
    if (text == "**") return Append({Segment::Kind::kRest, {}});
    if (text.empty()) return Bad("has an empty segment");
    if (text.find_first_of("*{}=") != std::string_view::npos) {
      return Bad(fmt::format("has '{}', which is neither a literal nor '*' or '**' alone", text));
    }
    Segment segment;
    // Literals meet paths in their normal form.
    const Status normal = NormalisePath(fmt::format("/{}", text), segment.literal);
    if (!normal.ok()) return Bad(std::string(normal.message()));
    segment.literal.erase(0, 1);
    return Append(std::move(segment));
  }

  Status Append(Segment segment) {
    if (!result_.segments.empty() && result_.segments.back().kind == Segment::Kind::kRest) {
      return Bad("has something after '**', which takes all the rest");
    }
    result_.segments.push_back(std::move(segment));
    return OkStatus();
  }

  const std::string_view text_;
  std::string_view rest_;
  PathTemplate result_;
};

}  // namespace

StatusOr<PathTemplate> ParsePathTemplate(std::string_view text) {
  return TemplateReader(text).Read();
}

}  // namespace starling::http
