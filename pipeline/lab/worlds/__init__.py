"""Worlds by other hands: populations whose authors knew neither the workloads of `evaluate` nor how the detector decides.

Each was written in half an hour from the wire format, the kinds of attack and the types of a source, by somebody who was forbidden to read
anything else, and is left as it was written: what is changed to please the detector says nothing any more. `enterprise` and `exchange`
teach (`lab.teach`); what never teaches stands among the tests (`campus`, `forge`, `harbour`, `province`, `town`, `workshop`).
"""
