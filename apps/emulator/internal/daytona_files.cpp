// Files through the agent inside: one at a time, or several as multipart in both directions.
#include <emulator/internal/daytona_cloud.hpp>
#include <emulator/internal/multipart.hpp>

namespace nestor::emulator {

bool daytona_cloud::serve_files(const call_ref& c, daytona_sandbox& s, std::string_view path) {
  using http::method;
  auto verb = c->request.verb;
  auto where = c->parameter("path").value_or("");
  if (verb == method::post && path == "files/bulk-upload")
    bulk_upload(c, s);
  else if (verb == method::post && (path == "files/upload" || path == "files/upload-v2"))
    upload(c, s);
  else if (verb == method::get && path == "files/download")
    download(c, s);
  else if (verb == method::post && path == "files/bulk-download")
    bulk_download(c, s);
  else if (verb == method::post && path == "files/folder")
    world_.inside.make_directory(s.id, where) ? c->answer(201) : tool_refuse(c, 400, "bad request: no such folder");
  else if (verb == method::del && path == "files")
    world_.inside.remove(s.id, where) ? c->answer(204) : tool_refuse(c, 404, "not found: file not found");
  else if (verb == method::get && (path == "files" || path == "files/info")) {
    auto described = [&](const file_entry& f) {
      return json{{"name", f.name},
                  {"isDir", f.directory},
                  {"size", f.size},
                  {"modTime", iso_time(wall_ms())},
                  {"mode", f.directory ? "drwxr-xr-x" : "-rw-r--r--"},
                  {"permissions", f.directory ? "0755" : "0644"},
                  {"owner", s.user},
                  {"group", s.user}};
    };
    auto all = json::array();
    auto entry = path == "files/info" ? world_.inside.look(s.id, where) : std::nullopt;
    auto entries = path == "files" ? world_.inside.list(s.id, where) : std::nullopt;
    if (!entry && !entries) {
      tool_refuse(c, 404, "not found: file not found");
      return true;
    }
    for (const auto& f : entries.value_or(std::vector<file_entry>{}))
      all.push_back(described(f));
    c->answer(200, entry ? described(*entry) : all);
  } else {
    return false;
  }
  return true;
}

/// Parts come in pairs: files[0].path, then files[0].file.
void daytona_cloud::bulk_upload(const call_ref& c, daytona_sandbox& s) {
  auto parts = form_parts(c->header("Content-Type"), c->request.body);
  if (!parts)
    return tool_refuse(c, 400, "bad request: the body is no multipart form");
  auto stored = json::array();
  auto errors = json::array();
  for (const auto& p : *parts) {
    if (!p.name.ends_with(".file"))
      continue;
    const auto* path = part_named(*parts, p.name.substr(0, p.name.size() - 4) + "path");
    if (path && path < &p && world_.inside.write(s.id, std::string{path->content}, p.content))
      stored.push_back({{"path", path->content}, {"bytes", p.content.size()}});
    else
      errors.push_back(p.name + ": no usable destination path");
  }
  if (!errors.empty())
    return c->answer(400, {{"errors", errors}, {"files", stored}});
  c->answer(200, {{"files", stored}});
}

void daytona_cloud::upload(const call_ref& c, daytona_sandbox& s) {
  auto parts = form_parts(c->header("Content-Type"), c->request.body);
  const auto* file = parts ? part_named(*parts, "file") : nullptr;
  auto path = c->parameter("path").value_or("");
  // upload-v2 takes the bytes as they are.
  auto content = file ? file->content : std::string_view{c->request.body};
  if ((!file && !c->path.ends_with("upload-v2")) || path.empty() || !world_.inside.write(s.id, path, content))
    return tool_refuse(c, 400, "bad request: a path and a file are needed");
  c->answer(200);
}

void daytona_cloud::download(const call_ref& c, daytona_sandbox& s) {
  auto bytes = world_.inside.read(s.id, c->parameter("path").value_or(""));
  if (!bytes)
    return tool_refuse(c, 404, "not found: file not found");
  http::response r;
  r.status = 200;
  r.headers.emplace_back("Content-Type", "application/octet-stream");
  r.body.assign(bytes->data(), bytes->size());
  c->answer(std::move(r));
}

void daytona_cloud::bulk_download(const call_ref& c, daytona_sandbox& s) {
  auto body = c->object();
  if (!body || !body->contains("paths") || !(*body)["paths"].is_array())
    return tool_refuse(c, 400, "bad request: paths is required");
  auto boundary = hex_id(seed_, 24);
  std::string out;
  for (const auto& p : (*body)["paths"]) {
    auto path = p.is_string() ? p.get<std::string>() : std::string{};
    auto bytes = world_.inside.read(s.id, path);
    auto content = bytes.value_or(json{
      {"error", "file not found: " + path},
      {"message", "file not found: " + path},
      {"statusCode", 404},
      {"code", "FILE_NOT_FOUND"}}.dump());
    out += "--" + boundary + "\r\nContent-Type: " + (bytes ? "application/octet-stream" : "application/json") +
           "\r\nContent-Disposition: form-data; name=\"" + (bytes ? "file" : "error") + "\"; filename=\"" + path +
           "\"\r\nContent-Length: " + std::to_string(content.size()) + "\r\n\r\n" + content + "\r\n";
  }
  out += "--" + boundary + "--\r\n";
  http::response r;
  r.status = 200;
  r.headers.emplace_back("Content-Type", "multipart/form-data; boundary=" + boundary);
  r.body.assign(out.data(), out.size());
  c->answer(std::move(r));
}

} // namespace nestor::emulator
