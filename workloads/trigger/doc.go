// Package trigger is the scientific stream as functions of the core scheduler:
// TNN_inference decides about every event summary within its limit, a chain of
// ordinary functions deals with the selected ones, and updateModel is fed with samples
// and replaces the model when the detector has drifted.
//
//	records ─► TNN_inference (stream) ─ selected ─► measure_energy ► select_event
//	                │                                ► format_event ► serialise_event ► archive_event
//	                └─ samples ─► updateModel ─ drift ─► retrain, in slices ─► Swap
//
// Every function has its own contract and account; each selected event and each sample
// is an invocation. The chain has one deadline, handed down from stage to stage. What
// goes wrong ends as a typed error for that invocation, is counted, and the others go
// on. What the parts are is in the packages below: network (arithmetic, weights files),
// kernels, detector (simulated events), training, preset (trained networks), archive.
package trigger
