// The section "inference" of the configuration.
#pragma once

#include "platform/config/fields.h"

namespace starling::inference {

struct InferenceConfig {
  static constexpr char kSection[] = "inference";
  static constexpr char kDoc[] = "how versions of the model serve";

  config::Bytes index_memory = config::Bytes::GiB(1);
  Duration vectors_timeout = std::chrono::milliseconds(50);
  static void Describe(config::Fields<InferenceConfig>& fields) {
    fields
        .Add(
            "index_memory", &InferenceConfig::index_memory,
            "memory that the index over one version's factors may take, about 40 bytes a product "
            "with 64 factors, 120 with a graph; where it would take more, all factors are read for "
            "each answer")
        .NeedsRestart();
    fields
        .Add("vectors_timeout", &InferenceConfig::vectors_timeout,
             "after which an answer does without the products that storage.vector finds nearest")
        .AtLeast(std::chrono::milliseconds(1));
  }
};

}  // namespace starling::inference
