from autokd.losses._ce import ce as ce
from autokd.losses._dist import dist as dist
from autokd.losses._dkd import dkd as dkd
from autokd.losses._hint import hint as hint
from autokd.losses._kd import kd as kd
from autokd.losses._sp import sp as sp
