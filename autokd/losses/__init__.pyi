from autokd.losses._attention_relation import attention_relation as attention_relation
from autokd.losses._attention_transfer import attention_transfer as attention_transfer
from autokd.losses._camkd import camkd as camkd
from autokd.losses._ce import ce as ce
from autokd.losses._cka import cka as cka
from autokd.losses._communication import communication as communication
from autokd.losses._correlation_congruence import correlation_congruence as correlation_congruence
from autokd.losses._crd import crd as crd
from autokd.losses._ctkd import ctkd as ctkd
from autokd.losses._diffkd import diffkd as diffkd
from autokd.losses._dist import dist as dist
from autokd.losses._dkd import dkd as dkd
from autokd.losses._dml import dml as dml
from autokd.losses._focal import focal as focal
from autokd.losses._hint import hint as hint
from autokd.losses._kd import kd as kd
from autokd.losses._lelp import lelp as lelp
from autokd.losses._logit_adjusted import logit_adjusted as logit_adjusted
from autokd.losses._mi_alpha import mi_alpha as mi_alpha
from autokd.losses._mlkd import mlkd as mlkd
from autokd.losses._nkd import nkd as nkd
from autokd.losses._nst import nst as nst
from autokd.losses._ofa import ofa as ofa
from autokd.losses._pkt import pkt as pkt
from autokd.losses._rdist import rdist as rdist
from autokd.losses._reviewkd import reviewkd as reviewkd
from autokd.losses._rkd import rkd as rkd
from autokd.losses._simkd import simkd as simkd
from autokd.losses._sinkhorn import sinkhorn as sinkhorn
from autokd.losses._sp import sp as sp
from autokd.losses._tfkd import tfkd as tfkd
from autokd.losses._ttm import ttm as ttm
from autokd.losses._uskd import uskd as uskd
from autokd.losses._vid import vid as vid
from autokd.losses._weighted_ce import weighted_ce as weighted_ce
from autokd.losses._wttm import wttm as wttm

ALIASES: dict[str, str]

similarity_preserving = sp
