#include "backends/cpu/int8/factory.h"

#include "backends/cpu/int8/conv2d.h"
#include "backends/cpu/int8/ends.h"

namespace lt::cpu::int8 {

std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, Unit unit,
                                    highway::Target target) {
  const Op& op = *request.op;
  switch (op.kind) {
    case OpKind::input: return make_input(op);
    case OpKind::conv2d: return make_conv2d(program, request, unit, target);
    case OpKind::average_pool: return make_average_pool(op, target);
    default: break;
  }
  (void)fail(Status::unsupported, "%s: there is no %s in int8", op.layer.c_str(), op_kind_name(op.kind));
  return nullptr;
}

}  // namespace lt::cpu::int8
