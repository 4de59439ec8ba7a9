import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { Booking } from "../bookings/queries";
import { keep } from "../seats/kept";

/** To the booking, once it is paid; otherwise to what is left to pay. */
export function useBooked(): (booking: Booking) => void {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return (booking) => {
    queries.setQueryData(["booking", booking.id], booking);
    void queries.invalidateQueries({ queryKey: ["bookings"] });
    void queries.invalidateQueries({ queryKey: ["points"] });
    if (booking.status === "pending") {
      void queries.invalidateQueries({ queryKey: ["hold", booking.showtime_id] });
      return;
    }
    keep(null);
    const params = { bookingId: booking.id };
    void navigate({ to: "/bookings/$bookingId", params, search: { new: true }, replace: true });
  };
}
