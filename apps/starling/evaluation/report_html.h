// A report as one page: charts, tables, what was measured on and what each figure means. Whole in
// itself: no script, nothing fetched, light or dark as the reader's system is.
#pragma once

#include <string>

#include "apps/starling/evaluation/report.h"

namespace starling {

// Well-formed as XML too. What comes from outside (names, paths) is escaped.
std::string HtmlOf(const Report& report);

// INVALID_ARGUMENT unless the file's name ends in .html: for before the work is done.
Status CheckPlotName(const std::string& path);

// Whole or not at all.
Status WriteHtml(const Report& report, const std::string& path);

}  // namespace starling
