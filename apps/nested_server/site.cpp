#include <nested_server/admin.hpp>
#include <nested_server/site.hpp>

namespace nestor::nested_server {

void model_site::serve(const http::request& request, instant now, std::string_view client,
                       const std::shared_ptr<reply_door>& back) {
  if (admin_ && is_admin(request.target)) {
    wire_reply reply;
    reply.response = admin_answer(server_, request, now);
    return back->reply(std::move(reply));
  }
  if (auto* carried = server_.model().traffic_of(parts_of(request.target).prefix))
    back->count_in(*carried);
  back->reply(server_.handle(request, now, client));
}

} // namespace nestor::nested_server
