"""Is a hand-written backward right? Numbers against gradients, for functions, layers and losses of any make."""

from .check import assert_gradients, check, check_layer, check_loss
from .numeric import directional_derivative, jacobian, jvp, numerical_gradient, vjp
from .report import Report, merge
from .walkthrough import explain

__all__ = [
    "assert_gradients",
    "check",
    "check_layer",
    "check_loss",
    "directional_derivative",
    "explain",
    "jacobian",
    "jvp",
    "numerical_gradient",
    "vjp",
    "Report",
    "merge",
]
