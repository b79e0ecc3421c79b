! The functions of grain_model.h and grain_step.h for Fortran. A law is an address, a state twelve numbers.
module skmerge_grains
  use, intrinsic :: iso_c_binding
  implicit none
  integer, parameter :: grain_row = 12
  interface
    function c_open(path, problem) bind(c, name="skmerge_grain_open") result(law)
      import :: c_ptr, c_char, c_int
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int), intent(out) :: problem
      type(c_ptr) :: law
    end function
    subroutine grain_close(law) bind(c, name="skmerge_grain_close")
      import :: c_ptr
      type(c_ptr), value :: law
    end subroutine
    subroutine grain_random(seed, n, density, state) bind(c, name="skmerge_grain_random")
      import :: c_long_long, c_ptrdiff_t, c_double
      integer(c_long_long), value :: seed
      integer(c_ptrdiff_t), value :: n
      real(c_double), value :: density
      real(c_double), intent(out) :: state(12, *)
    end subroutine
    ! Matrices are those of C, row by row: L(j, i) = dv_i / dx_j.
    function grain_steps(law, n, L, L_stride, dt, dt_stride, state, stress, stress_stride, tangent, flags) &
        bind(c, name="skmerge_grain_steps") result(bad)
      import :: c_ptr, c_ptrdiff_t, c_double, c_int
      type(c_ptr), value :: law
      integer(c_ptrdiff_t), value :: n, L_stride, dt_stride, stress_stride
      real(c_double), intent(in) :: L(*), dt(*)
      real(c_double), intent(inout) :: state(12, *)
      real(c_double), intent(out) :: stress(6, *)
      real(c_double), intent(out), optional :: tangent(6, 6, *)
      integer(c_int), intent(out) :: flags(*)
      integer(c_int) :: bad
    end function
    function grain_time_factor(n, flags) bind(c, name="skmerge_grain_time_factor") result(factor)
      import :: c_ptrdiff_t, c_int, c_double
      integer(c_ptrdiff_t), value :: n
      integer(c_int), intent(in) :: flags(*)
      real(c_double) :: factor
    end function
  end interface
contains
  ! The law of a file; problem is 0, or a code of grain_model.h.
  function grain_open(path, problem) result(law)
    character(*), intent(in) :: path
    integer(c_int), intent(out) :: problem
    type(c_ptr) :: law
    law = c_open(trim(path) // c_null_char, problem)
  end function
end module
