from .files import index_models as index_models
from .grid import search_grid as search_grid
from .residual import residual as residual
from .result import refine as refine
from .result import run_search as run_search
from .stack import open_models as open_models
from .stack import write_models as write_models
