// YAML bytes through the whole path to typed sections, as a file and as variables; what is shown
// must load again.
#include <cstdint>
#include <cstdlib>

#include "platform/config/config_test_sections.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace starling::config;
  const std::string text(reinterpret_cast<const char*>(data), size);
  Configured config;
  const starling::Status as_file = config.LoadText(text);
  if (as_file.ok()) {
    Configured again;
    const std::string shown = config.registry.Show();
    const bool has_secret = shown.find("\"***\"") != std::string::npos;
    const starling::Status status = again.LoadText(shown);
    if (!has_secret && (!status.ok() || again.registry.Digest() != config.registry.Digest()))
      std::abort();
  }
  Configured variables;
  const starling::Status as_values = variables.LoadText("",
                                                        {{"STARLING_HTTP_HEADERS", text},
                                                         {"STARLING_HTTP_CORS_ORIGINS", text},
                                                         {"STARLING_CLUSTER__TOPOLOGY", text},
                                                         {"STARLING_" + text, "1"}},
                                                        {{text, "1"}, {"http.max_body", text}});
  (void)as_values;
  return 0;
}
