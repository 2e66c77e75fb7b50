// `static`: a nested server that already runs somewhere. It is adopted and configured, never created or ended: what
// undoes it is to withdraw what was written. Its identity is its normalised URL, path included.
#include <nestor/http/url.hpp>
#include <nestor/providers/provider.hpp>

namespace nestor::providers {
namespace {

expected<void> validate(const runtime_spec& spec) {
  auto refuse = [](errc code, std::string cause) { return failure{code, step::provision, std::move(cause), 0, {}}; };
  if (spec.url.empty())
    return refuse(errc::spec_invalid, "runtime.url: the static provider needs the server's address");
  if (!http::parse_url(spec.url))
    return refuse(errc::spec_invalid,
                  "runtime.url: not an http or https URL without query, fragment and user information");
  if (!spec.command.empty())
    return refuse(errc::capability_missing, "runtime.command: the static provider starts nothing");
  if (!spec.image.empty())
    return refuse(errc::capability_missing, "runtime.image: the static provider creates nothing");
  if (spec.cpu || spec.memory_bytes)
    return refuse(errc::capability_missing, "runtime.resources: the static provider creates nothing");
  if (!spec.env.empty())
    return refuse(errc::capability_missing, "runtime.env: the static provider starts nothing");
  if (spec.options != "{}")
    return refuse(errc::spec_invalid, "runtime.options: the static provider has none");
  return {};
}

runtime adopted(const provision_order& order) {
  auto where = *http::parse_url(order.spec->url); // `validate` accepted it
  runtime result;
  result.ref = http::to_string(where);
  result.where = endpoint{where.tls, where.host, where.port, {}};
  result.path_prefix = where.path;
  result.session_key = order.spec->session_key;
  result.from = address_source::spec;
  return result;
}

progress<runtime> provision(const account&, const provision_order& order, const heard&) {
  return adopted(order);
}
progress<sighting> observe(const account&, const provision_order& order, const heard&) {
  return sighting{adopted(order)};
}
progress<absent> destroy(const account&, const runtime&, const heard&) {
  return absent{};
}

} // namespace

const provider& static_provider() {
  static const provider self{
    .kind = "static",
    .summary = "a nested server that already runs; adopted, never ended",
    .can = {},
    .undo = compensation::withdraw,
    .create_settles = milliseconds{0},
    .provision_within = milliseconds{1'000}, // nothing is asked of anyone
    .destroy_within = milliseconds{1'000},
    .validate = validate,
    .provision = provision,
    .observe = observe,
    .destroy = destroy,
    .action_server = true,
  };
  return self;
}

} // namespace nestor::providers
