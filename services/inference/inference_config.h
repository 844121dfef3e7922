// The section "inference" of the configuration.
#pragma once

#include "platform/config/fields.h"

namespace starling::inference {

struct InferenceConfig {
  static constexpr char kSection[] = "inference";
  static constexpr char kDoc[] = "how versions of the model serve";

  config::Bytes index_memory = config::Bytes::GiB(1);
  static void Describe(config::Fields<InferenceConfig>& fields) {
    fields
        .Add(
            "index_memory", &InferenceConfig::index_memory,
            "memory that the index over one version's factors may take, about 40 bytes a product "
            "with 64 factors, 120 with a graph; where it would take more, all factors are read for "
            "each answer")
        .NeedsRestart();
  }
};

}  // namespace starling::inference
