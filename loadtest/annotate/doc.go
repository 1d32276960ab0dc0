// Package annotate drives document annotation with an open loop: documents fall due
// at times fixed beforehand, and D ends when the whole answer was received.
//
// Symbols of the paper (Nguyen, Yang, Chien, HiPS '21, section 4): lambda is
// Spec.Rate, S is Spec.Words, F and W are the functions and workflows, D is
// Spec.Deadline, F_l is Result.LateFraction, R is Result.ReservedGBS with
// Result.ReservedCores.
package annotate
