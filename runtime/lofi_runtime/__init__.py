"""Plays a published lofi model: light, torch-free, one process shared by all editors.

Nothing here imports the engine or torch (a contract checked in CI). The engine imports this
package, so that what it measures is what ships.
"""

from lofi_runtime.version import VERSION

__version__ = VERSION
__all__ = ["__version__"]
