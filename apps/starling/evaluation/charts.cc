#include "apps/starling/evaluation/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "platform/base/html.h"

namespace starling {
namespace {

constexpr double kWidth = 520;
constexpr double kNames = 110;  // to the left of the bars
constexpr double kValues = 62;  // to the right
constexpr double kRow = 28;
constexpr double kAxis = 24;  // under the rows

// A scale from values to places; ticks at 1, 2 or 5 times a power of ten.
struct Scale {
  double low, high;   // values
  double begin, end;  // places
  bool logarithmic = false;
  std::vector<double> ticks;

  double At(double value) const {
    const double share = logarithmic
                             ? std::log10(std::max(value, low) / low) / std::log10(high / low)
                             : (value - low) / (high - low);
    return begin + share * (end - begin);
  }
};

Scale Linear(double low, double high, double begin, double end) {
  if (!(high > low)) high = low + 1;
  const double rough = (high - low) / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double of_power = rough / power;
  const double step = power * (of_power <= 1 ? 1 : of_power <= 2 ? 2 : of_power <= 5 ? 5 : 10);
  Scale scale{.low = std::floor(low / step + 1e-9) * step,
              .high = std::ceil(high / step - 1e-9) * step,
              .begin = begin,
              .end = end};
  const auto steps = std::lround((scale.high - scale.low) / step);
  for (long i = 0; i <= steps; ++i)
    scale.ticks.push_back(scale.low + static_cast<double>(i) * step);
  return scale;
}

Scale Logarithmic(double low, double high, double begin, double end) {
  const double first = std::floor(std::log10(low));
  const double last = std::max(std::ceil(std::log10(high)), first + 1);
  Scale scale{.low = std::pow(10, first),
              .high = std::pow(10, last),
              .begin = begin,
              .end = end,
              .logarithmic = true};
  for (double decade = first; decade <= last; ++decade) scale.ticks.push_back(std::pow(10, decade));
  return scale;
}

std::string TickText(double value) {
  return fmt::format("{:g}", std::abs(value) < 1e-12 ? 0.0 : value);
}

std::string Open(std::string_view title, double height) {
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n<title>{}</title>\n",
      kWidth, height, EscapeHtml(title), EscapeHtml(title));
}

std::string Text(const char* classes, const char* anchor, double x, double y,
                 std::string_view text) {
  return fmt::format("<text class=\"{}\" text-anchor=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                     classes, anchor, x, y, EscapeHtml(text));
}

std::string Line(const char* classes, double x1, double y1, double x2, double y2) {
  return fmt::format(
      "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", classes, x1,
      y1, x2, y2);
}

// Lines down from 0 to `bottom` at each tick, and the tick's number below.
std::string GridAcross(const Scale& scale, double bottom) {
  std::string out;
  for (const double tick : scale.ticks) {
    out += Line("grid", scale.At(tick), 0, scale.At(tick), bottom);
    out += Text("axis", "middle", scale.At(tick), bottom + 16, TickText(tick));
  }
  return out;
}

std::string Whisker(const Scale& scale, const Mark& mark, double y) {
  if (mark.low == mark.high) return "";
  const double low = scale.At(mark.low);
  const double high = scale.At(mark.high);
  return Line("whisker", low, y, high, y) + Line("whisker", low, y - 4, low, y + 4) +
         Line("whisker", high, y - 4, high, y + 4);
}

std::string Told(const Mark& mark, const char* format) {
  std::string told = mark.name + ": " + fmt::format(fmt::runtime(format), mark.value);
  if (mark.low != mark.high) {
    told += fmt::format(", 95 % {} to {}", fmt::format(fmt::runtime(format), mark.low),
                        fmt::format(fmt::runtime(format), mark.high));
  }
  return EscapeHtml(told);
}

const char* Chosen(const Mark& mark) { return mark.chosen ? " chosen" : ""; }

// Names that would lie over each other are moved apart, up or down.
std::vector<double> Apart(std::vector<double> places, double least) {
  std::vector<size_t> order(places.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return places[a] < places[b]; });
  for (size_t i = 1; i < order.size(); ++i)
    places[order[i]] = std::max(places[order[i]], places[order[i - 1]] + least);
  return places;
}

}  // namespace

std::string BarChart(std::string_view title, const std::vector<Mark>& marks) {
  const double bottom = kRow * static_cast<double>(marks.size());
  double high = 0;
  for (const Mark& mark : marks) high = std::max({high, mark.value, mark.high});
  const Scale scale = Linear(0, high, kNames, kWidth - kValues);
  std::string out = Open(title, bottom + kAxis) + GridAcross(scale, bottom);
  for (size_t row = 0; row < marks.size(); ++row) {
    const Mark& mark = marks[row];
    const double middle = kRow * (static_cast<double>(row) + 0.5);
    out += fmt::format("<g><title>{}</title>\n", Told(mark, "{:.4f}"));
    out += Text("label", "end", kNames - 8, middle + 4, mark.name);
    out += fmt::format(
        "<rect class=\"bar{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"16\" "
        "rx=\"2\"/>\n",
        Chosen(mark), kNames, middle - 8, scale.At(mark.value) - kNames);
    out += Whisker(scale, mark, middle);
    out +=
        Text("value", "start", kWidth - kValues + 8, middle + 4, fmt::format("{:.4f}", mark.value));
    out += "</g>\n";
  }
  return out + "</svg>\n";
}

std::string DifferenceChart(std::string_view title, const std::vector<Mark>& marks) {
  const double bottom = kRow * static_cast<double>(marks.size());
  double low = 0;
  double high = 0;
  for (const Mark& mark : marks) {
    low = std::min({low, mark.value, mark.low});
    high = std::max({high, mark.value, mark.high});
  }
  const Scale scale = Linear(low, high, kNames, kWidth - kValues);
  std::string out = Open(title, bottom + kAxis) + GridAcross(scale, bottom);
  out += Line("zero", scale.At(0), 0, scale.At(0), bottom);
  for (size_t row = 0; row < marks.size(); ++row) {
    const Mark& mark = marks[row];
    const double middle = kRow * (static_cast<double>(row) + 0.5);
    out += fmt::format("<g><title>{}</title>\n", Told(mark, "{:+.4f}"));
    out += Text("label", "end", kNames - 8, middle + 4, mark.name);
    out += Whisker(scale, mark, middle);
    out += fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\"/>\n",
                       scale.At(mark.value), middle);
    out += Text("value", "start", kWidth - kValues + 8, middle + 4,
                fmt::format("{:+.4f}", mark.value));
    out += "</g>\n";
  }
  return out + "</svg>\n";
}

std::string ScatterChart(std::string_view title, const ScatterAxes& axes,
                         const std::vector<Mark>& marks) {
  constexpr double kHeight = 260;
  constexpr double kLeft = 48;
  constexpr double kRoom = 90;  // for names at the right edge
  double low_x = marks.empty() ? 1 : marks[0].x;
  double high_x = low_x;
  double low_y = marks.empty() ? 0 : marks[0].value;
  double high_y = low_y;
  for (const Mark& mark : marks) {
    low_x = std::min(low_x, mark.x);
    high_x = std::max(high_x, mark.x);
    low_y = std::min(low_y, mark.value);
    high_y = std::max(high_y, mark.value);
  }
  const Scale across = axes.logarithmic ? Logarithmic(std::max(low_x, 1e-3), std::max(high_x, 1e-3),
                                                      kLeft, kWidth - kRoom)
                                        : Linear(low_x, high_x, kLeft, kWidth - kRoom);
  const Scale up = Linear(low_y, high_y, kHeight, 28);
  std::string out = Open(title, kHeight + 44) + GridAcross(across, kHeight);
  for (const double tick : up.ticks) {
    out += Line("grid", kLeft, up.At(tick), kWidth - kRoom, up.At(tick));
    out += Text("axis", "end", kLeft - 6, up.At(tick) + 4, TickText(tick));
  }
  out += Text("axis", "end", kWidth - kRoom, kHeight + 36, axes.x);
  out += Text("axis", "start", 0, 8, axes.y);
  std::vector<double> places;
  places.reserve(marks.size());
  for (const Mark& mark : marks) places.push_back(up.At(mark.value));
  places = Apart(std::move(places), 13);
  for (size_t i = 0; i < marks.size(); ++i) {
    const Mark& mark = marks[i];
    out += fmt::format(
        "<g><title>{}, {} {:.4g}</title>\n<circle class=\"dot{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" "
        "r=\"5\"/>\n",
        Told(mark, "{:.4f}"), EscapeHtml(axes.x), mark.x, Chosen(mark), across.At(mark.x),
        up.At(mark.value));
    out += Text("label", "start", across.At(mark.x) + 9, places[i] + 4, mark.name) + "</g>\n";
  }
  return out + "</svg>\n";
}

}  // namespace starling
