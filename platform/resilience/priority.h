// Which calls are refused first by who has more to do than it can.
#pragma once

namespace starling::resilience {

enum class Priority {
  kSheddable,  // work in bulk, which can wait: exports, imports, what training reads
  kNormal,     // what somebody waits for
  kCritical,   // what is lost when it is refused, or what all else stands on
};

}  // namespace starling::resilience
