! 100 grains under simple shear, without Python: grains MODEL; doc/finite_elements.md has the command to compile it.
program grains
  use skmerge_grains
  implicit none
  integer(c_ptrdiff_t), parameter :: n = 100, none = 0, six = 6
  real(c_double) :: state(grain_row, n), stress(6, n), tangent(6, 6, n), dt(1) = 2, L(3, 3) = 0
  integer(c_int) :: flags(n), problem, step
  character(1000) :: path
  type(c_ptr) :: law
  call get_command_argument(1, path)
  law = grain_open(path, problem)
  if (problem /= 0) error stop "no model file"
  L(2, 1) = 1e-3_c_double  ! dv_x/dy in 1/s: matrices are those of C, row by row
  call grain_random(1_c_long_long, n, 1e12_c_double, state)
  do step = 1, 25
    if (grain_steps(law, n, L, none, dt, none, state, stress, six, tangent, flags) /= 0) error stop "shorten the step"
    print "(f5.3, 1x, f0.6, 1x, f4.2)", 2e-3 * step, sum(stress(6, :)) / n, grain_time_factor(n, flags)
  end do
  call grain_close(law)
end program
