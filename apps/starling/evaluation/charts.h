// Drawings of an evaluation as inline SVG: text that stands in a page without any file beside it.
//
//   std::string svg = BarChart("NDCG@20", {{.name = "ease", .value = 0.39, .low = 0.38, .high =
//   0.4}});
//
// Colours are the page's: marks have the classes bar, dot, whisker, grid, axis, label and value,
// and `chosen` beside them. Every mark has a <title> that says what it shows. Names are escaped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace starling {

struct Mark {
  std::string name;
  double value = 0;  // along the bars, or up
  double low = 0;    // the interval of it; none when low == high
  double high = 0;
  double x = 0;  // across, where there are two axes
  bool chosen = false;
};

struct ScatterAxes {
  std::string x;  // "seconds of the fit"
  std::string y;
  bool logarithmic = false;  // x > 0, in decades
};

// A bar a mark from 0 on, its interval over it, its value beside it.
std::string BarChart(std::string_view title, const std::vector<Mark>& marks);
// A dot and an interval a mark, around a line at 0.
std::string DifferenceChart(std::string_view title, const std::vector<Mark>& marks);
// A dot a mark with its name.
std::string ScatterChart(std::string_view title, const ScatterAxes& axes,
                         const std::vector<Mark>& marks);

}  // namespace starling
