#include "platform/saga/pages.h"

#include <algorithm>
#include <charconv>

#include "embedded/saga_page.h"
#include "platform/base/html.h"
#include "platform/http/problem.h"
#include "platform/json/writer.h"
#include "platform/saga/engine.h"

namespace starling::saga {
namespace {

constexpr int64_t kMaxShown = 1'000;

struct Listed {
  Engine* engine;
  Run run;
};

std::string Page(std::string_view title, std::string_view content) {
  std::string page(kPage[0].content);
  const auto put = [&](std::string_view name, std::string_view value) {
    for (size_t at = 0; (at = page.find(name, at)) != std::string::npos; at += value.size()) {
      page.replace(at, name.size(), value);
    }
  };
  put("{{title}}", EscapeHtml(title));
  put("{{content}}", content);  // last: what it holds is no template
  return page;
}

bool WantsJson(const http::Request& request) {
  const std::string accept = request.headers.Joined("accept");
  return accept.find("application/json") != std::string::npos &&
         accept.find("text/html") == std::string::npos;
}

void Answer(http::Exchange& exchange, std::string_view title, const std::string& content) {
  exchange.response.SetBody("text/html; charset=utf-8", Page(title, content));
  exchange.response.headers.Set("content-security-policy",
                                "default-src 'none'; style-src 'unsafe-inline'");
}

std::string TimeText(TimePoint time) {
  return time == TimePoint() ? ""
                             : FormatRfc3339(std::chrono::floor<std::chrono::milliseconds>(time));
}

std::string PhaseText(const Run& run) {
  return run.stuck ? fmt::format("{}, stuck", Name(run.phase)) : std::string(Name(run.phase));
}

void WriteRun(json::Writer& writer, const Listed& listed) {
  const Run& run = listed.run;
  const auto text = [&](std::string_view name, std::string_view value) {
    writer.Name(name);
    writer.String(value);
  };
  text("id", run.id);
  text("service", listed.engine->service());
  text("saga", run.saga);
  writer.Name("\"version\":");
  writer.Int32(run.version);
  text("phase", Name(run.phase));
  writer.Name("\"stuck\":");
  writer.Bool(run.stuck);
  writer.Name("\"step\":");
  writer.Int32(run.step);
  text("startedAt", TimeText(run.started_at));
  text("updatedAt", TimeText(run.updated_at));
  text("endedAt", TimeText(run.ended_at));
  if (!run.failure.ok()) text("error", ToString(run.failure));
}

std::string ValueOf(const http::QueryParameters& query, std::string_view name) {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return "";
}

StatusOr<store::Filter> FilterOf(const http::QueryParameters& query) {
  store::Filter filter{.saga = ValueOf(query, "saga")};
  if (const std::string phase = ValueOf(query, "phase"); !phase.empty()) {
    filter.phase = ParsePhase(phase);
    if (!filter.phase.has_value()) {
      return InvalidField("phase", "'{}' is none of forward, compensating, completed, compensated",
                          phase);
    }
  }
  const std::string stuck = ValueOf(query, "stuck");
  filter.stuck = !stuck.empty() && stuck != "0";
  if (const std::string limit = ValueOf(query, "limit"); !limit.empty()) {
    const auto [end, error] =
        std::from_chars(limit.data(), limit.data() + limit.size(), filter.limit);
    if (error != std::errc() || end != limit.data() + limit.size() || filter.limit < 1 ||
        filter.limit > kMaxShown) {
      return InvalidField("limit", "'{}' is no number from 1 to {}", limit, kMaxShown);
    }
  }
  return filter;
}

Task<StatusOr<std::vector<Listed>>> ListAll(const Directory& directory, store::Filter filter,
                                            std::string service) {
  std::vector<Listed> all;
  for (Engine* engine : directory.engines()) {
    if (!service.empty() && engine->service() != service) continue;
    StatusOr<std::vector<Run>> runs = co_await engine->List(filter);
    if (!runs.ok()) co_return Annotate(runs.status(), engine->service());
    for (Run& run : *runs) all.push_back({engine, std::move(run)});
  }
  std::stable_sort(all.begin(), all.end(), [](const Listed& a, const Listed& b) {
    return a.run.started_at > b.run.started_at;
  });
  if (all.size() > static_cast<size_t>(filter.limit)) {
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(filter.limit), all.end());
  }
  co_return all;
}

std::string ListJson(const std::vector<Listed>& runs) {
  json::Writer writer;
  writer.BeginObject();
  writer.Name("\"runs\":");
  writer.BeginArray();
  for (const Listed& listed : runs) {
    writer.BeginObject();
    WriteRun(writer, listed);
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
  return std::string(writer.text());
}

std::string FormHtml(const http::QueryParameters& query) {
  std::string form = "<form>";
  for (const char* name : {"service", "saga"}) {
    form += fmt::format(R"(<label>{0} <input name="{0}" value="{1}"></label>)", name,
                        EscapeHtml(ValueOf(query, name)));
  }
  form += R"(<label>phase <select name="phase"><option value="">any</option>)";
  for (const Phase phase :
       {Phase::kForward, Phase::kCompensating, Phase::kCompleted, Phase::kCompensated}) {
    form += fmt::format("<option{}>{}</option>",
                        ValueOf(query, "phase") == Name(phase) ? " selected" : "", Name(phase));
  }
  return form +
         fmt::format(
             R"(</select></label><label><input type="checkbox" name="stuck" value="1"{}> stuck</label>)"
             "<button>Show</button></form>",
             ValueOf(query, "stuck").empty() ? "" : " checked");
}

std::string ListHtml(const http::QueryParameters& query, const std::vector<Listed>& runs) {
  std::string html = FormHtml(query);
  if (runs.empty()) return html + "<p>No runs.</p>";
  html +=
      "<table><tr><th>run</th><th>service</th><th>saga</th><th>phase</th><th>started</th>"
      "<th>ended</th><th>error</th></tr>";
  for (const auto& [engine, run] : runs) {
    html += fmt::format(
        "<tr><td><a href=\"/sagas/{}?service={}\">{}</a></td><td>{}</td><td>{} v{}</td>"
        "<td class=\"{}\">{}</td><td>{}</td><td>{}</td><td class=\"message\">{}</td></tr>\n",
        http::PercentEncode(run.id), http::PercentEncode(engine->service()), EscapeHtml(run.id),
        EscapeHtml(engine->service()), EscapeHtml(run.saga), run.version,
        run.stuck ? "stuck" : Name(run.phase), PhaseText(run), TimeText(run.started_at),
        TimeText(run.ended_at), run.failure.ok() ? "" : EscapeHtml(ToString(run.failure)));
  }
  return html + "</table>";
}

std::string RunJson(const Listed& listed) {
  json::Writer writer;
  writer.BeginObject();
  WriteRun(writer, listed);
  writer.Name("\"steps\":");
  writer.BeginArray();
  for (const StepRecord& step : listed.run.steps) {
    writer.BeginObject();
    const auto text = [&](std::string_view name, std::string_view value) {
      writer.Name(name);
      writer.String(value);
    };
    text("name", step.name);
    writer.Name("\"compensation\":");
    writer.Bool(step.compensation);
    text("phase", Name(step.phase));
    writer.Name("\"attempts\":");
    writer.Int32(step.attempts);
    text("startedAt", TimeText(step.started_at));
    text("endedAt", TimeText(step.ended_at));
    text("key", KeyOf(listed.run, step));
    if (!step.last.ok()) text("error", ToString(step.last));
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
  return std::string(writer.text());
}

std::string RunHtml(const Listed& listed) {
  const Run& run = listed.run;
  std::string html = fmt::format(
      "<p><a href=\"/sagas\">all runs</a></p><p>{} v{} of {}: <span class=\"{}\">{}</span>, "
      "started "
      "{}{}</p>",
      EscapeHtml(run.saga), run.version, EscapeHtml(listed.engine->service()),
      run.stuck ? "stuck" : Name(run.phase), PhaseText(run), TimeText(run.started_at),
      Ended(run.phase) ? ", ended " + TimeText(run.ended_at)
                       : ", next attempt " + TimeText(run.due_at));
  if (!run.failure.ok())
    html += fmt::format("<p>It turned back: {}</p>", EscapeHtml(ToString(run.failure)));
  if (run.cancelled) html += "<p>Its cancellation was asked for.</p>";
  html +=
      "<table><tr><th>step</th><th>phase</th><th>attempts</th><th>began</th><th>last ended</th>"
      "<th>last error</th><th>key</th></tr>";
  for (const StepRecord& step : run.steps) {
    html += fmt::format(
        "<tr><td>{}{}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td class=\"message\">{}</td><td><code>{}</code></td></tr>\n",
        step.compensation ? "undo " : "", EscapeHtml(step.name), Name(step.phase), Name(step.phase),
        step.attempts, TimeText(step.started_at), TimeText(step.ended_at),
        step.last.ok() ? "" : EscapeHtml(ToString(step.last)), EscapeHtml(KeyOf(run, step)));
  }
  html += "</table>";
  std::string open;
  for (const std::string& name : listed.engine->StepsOf(run.saga, run.version)) {
    if (std::none_of(run.steps.begin(), run.steps.end(),
                     [&](const StepRecord& step) { return step.name == name; })) {
      open += (open.empty() ? "" : ", ") + EscapeHtml(name);
    }
  }
  return open.empty() ? html : html + fmt::format("<p>Never begun: {}</p>", open);
}

Task<void> ShowList(const Directory& directory, http::Exchange& exchange) {
  const StatusOr<http::QueryParameters> query = http::ParseQuery(exchange.request.query);
  StatusOr<store::Filter> filter =
      query.ok() ? FilterOf(*query) : StatusOr<store::Filter>(query.status());
  if (!filter.ok()) {
    exchange.response = http::ProblemResponse(filter.status());
    co_return;
  }
  const StatusOr<std::vector<Listed>> runs =
      co_await ListAll(directory, *filter, ValueOf(*query, "service"));
  if (!runs.ok()) {
    exchange.response = http::ProblemResponse(runs.status());
  } else if (WantsJson(exchange.request)) {
    exchange.response.SetBody("application/json", ListJson(*runs));
  } else {
    Answer(exchange, "Sagas", ListHtml(*query, *runs));
  }
}

Task<void> ShowRun(const Directory& directory, http::Exchange& exchange) {
  const StatusOr<http::QueryParameters> query = http::ParseQuery(exchange.request.query);
  const std::string service = query.ok() ? ValueOf(*query, "service") : "";
  const std::string id(exchange.parameters.Find("id").value());
  Status missing = NotFound("no service of this process has a run '{}'", id);
  for (Engine* engine : directory.engines()) {
    if (!service.empty() && engine->service() != service) continue;
    StatusOr<Run> run = co_await engine->Get(id);
    if (!run.ok()) {
      if (!absl::IsNotFound(run.status())) missing = run.status();
      continue;
    }
    const Listed listed{engine, *std::move(run)};
    if (WantsJson(exchange.request)) {
      exchange.response.SetBody("application/json", RunJson(listed));
    } else {
      Answer(exchange, "Run " + id, RunHtml(listed));
    }
    co_return;
  }
  exchange.response = http::ProblemResponse(missing);
}

}  // namespace

Status AddSagaRoutes(http::Router& router, const Directory& directory) {
  STARLING_RETURN_IF_ERROR(
      router.Add(http::Verb::kGet, "/sagas",
                 [&directory](http::Exchange& exchange) { return ShowList(directory, exchange); }));
  return router.Add(http::Verb::kGet, "/sagas/{id}", [&directory](http::Exchange& exchange) {
    return ShowRun(directory, exchange);
  });
}

}  // namespace starling::saga
