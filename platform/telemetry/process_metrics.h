// What the kernel knows of this process, under the names that Prometheus' own clients use: resident
// and virtual memory, processor time, open and possible file descriptors, threads, start time.
#pragma once

namespace starling::telemetry {

class Metrics;

// Each is read from /proc/self when scraped, about 20 us together; 0 where /proc cannot be read.
void AddProcessMetrics(Metrics& metrics);

}  // namespace starling::telemetry
